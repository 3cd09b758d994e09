"""Measures: `make bench` prints them. Nothing is asserted about time."""
