"""How a search talks to those who make executions for it: child processes here, a cluster elsewhere.

Everything is asked between two executions and nothing of it may stand in the event loop: during an execution a pipe
there would be one more thing that an actor may wait for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from lab.schedulers.course import Course
from lab.search.crew.made import Made

__all__ = ["Hands"]


class Hands(Protocol):
    """Some workers, each known by its number."""

    @property
    def workers(self) -> Collection[int]:
        """Those that can be given something now; none before `start`, and while they start."""

    def prepare(self) -> None:
        """Begin with what a start needs whatever is made; returns at once.

        It may turn out to be for nothing.
        """

    def start(self) -> None:
        """Begin to start them; returns at once."""

    def give(self, worker: int, courses: Sequence[Course]) -> None:
        """Let one make these, one after the other, behind what it was given before. Never blocks."""

    def answers(self) -> Sequence[tuple[int, Made]]:
        """What they have made since this was asked last: worker, execution. Never blocks."""

    def gone(self) -> Sequence[tuple[int, str]]:
        """Those that ended since this was asked last, each with its last words. What they had is to be given anew."""

    def wait(self, seconds: float) -> None:
        """Until there may be an answer, at most so long."""

    def dismiss(self) -> None:
        """The search is over: they are to end. Returns at once."""

    async def aclose(self) -> None:
        """Let those that were dismissed end; returns when nobody is left."""
