"""Who took what at which line: what asyncio's locks do not know themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lab.engine.gate import Actor

__all__ = ["Book", "Taking"]


@dataclass(frozen=True, slots=True, eq=False)
class Taking:
    """One thing in the hands of one actor."""

    thing: object
    """It is kept, lest another one gets its `id`."""
    actor: Actor
    place: str
    """The line of the user's code that took it."""
    step: int
    direct: bool
    """The user's code took it itself, and not a library for its own use."""


class Book:
    """What is taken now, in one execution."""

    def __init__(self) -> None:
        self._takings: list[Taking] = []

    def takes(self, taking: Taking) -> None:
        """An actor took something."""
        self._takings.append(taking)

    def gives(self, thing: object, actor: Actor | None) -> None:
        """Somebody gave something back: what it took itself, or else what was taken first."""
        ours = [each for each in self._takings if each.thing is thing]
        if ours:
            self._takings.remove(next((each for each in reversed(ours) if each.actor is actor), ours[0]))

    def of(self, things: Collection[object]) -> list[Taking]:
        """Who has one of these."""
        wanted = {id(each) for each in things}
        return [each for each in self._takings if id(each.thing) in wanted]

    def by(self, actor: Actor) -> Iterator[Taking]:
        """What an actor has."""
        return (each for each in self._takings if each.actor is actor)
