"""Dyncast running in a lab: configuration, programs, clients and what they say. Demo and tests use it."""
