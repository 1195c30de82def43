"""Servers: the embedded one and its keeper, those given by URL, and what a role may do there."""
