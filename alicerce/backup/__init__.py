"""Copies of everything that the platform keeps, and how they are brought back."""
