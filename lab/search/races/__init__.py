"""Races from requests that a team's own tests send: recorded once, paired, and raced from the state they began with."""
