"""The one exception of the lab that a user is meant to read."""


class LabError(Exception):
    """A message for people: place, value, rule."""
