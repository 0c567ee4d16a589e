"""Scenarios; runner.py finds them."""
