"""The server has no room left."""

from __future__ import annotations

from lab.engine.faults.refusal import Refusal

__all__ = ["FAULT"]


class DiskFull(Refusal):
    """No disk is filled: the statement is refused with what the server says then."""

    name = "disk-full"
    help = "The server refuses a statement with 53100, as it does when its disk is full."
    story = "the disk of the server is full when {} goes on"
    sqlstate = "53100"
    message = "could not extend file: No space left on device"


FAULT = DiskFull()
