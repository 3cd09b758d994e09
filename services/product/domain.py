"""The verbs of product."""
