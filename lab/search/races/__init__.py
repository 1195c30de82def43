"""Races from requests that a team's own tests send: recorded once, paired, and raced from the state they began with."""

__all__ = ["SECONDS"]

SECONDS = 120.0
"""How long races may take altogether, by default."""
