"""The JSON of interaction."""
