"""What is run by hand, against a running platform."""
