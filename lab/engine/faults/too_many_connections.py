"""The server has as many connections as it allows."""

from __future__ import annotations

from lab.engine.faults.unconnected import NoConnection
from lab.engine.refused import Unconnected

__all__ = ["FAULT"]


class TooManyConnections(NoConnection):
    """A pool opens connections when it has no idle one, so any that an actor takes may have had to be opened."""

    name = "too-many-connections"
    help = "The server refuses a new connection with 53300, as it does when max_connections are open."
    story = "the server has no connection left for {}"
    refusal = Unconnected("53300", "sorry, too many clients already")


FAULT = TooManyConnections()
