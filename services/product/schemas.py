"""The JSON of product."""
