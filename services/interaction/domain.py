"""The verbs of interaction."""
