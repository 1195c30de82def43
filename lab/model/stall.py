"""Who waits for what when nobody can go on, in the process and in PostgreSQL, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.model.trace import LockWait

__all__ = ["Held", "Holder", "Stall", "Want", "circle_of"]


@dataclass(frozen=True, slots=True)
class Held:
    """What an actor holds: `place` is the line of code that took it, `step` the step in which; "" and 0 if unknown."""

    what: str
    place: str = ""
    step: int = 0


@dataclass(frozen=True, slots=True)
class Holder:
    """An actor that has what another one waits for, or that has to end; "" where no actor took it."""

    actor: str
    place: str = ""
    """The line of code at which it took it."""
    step: int = 0
    """The step in which it did, 0 if it did so before the first."""
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Want:
    """What an actor waits for in the process: 'asyncio.Lock `cache`'."""

    what: str
    state: str = ""
    """How that stands: "which is full (2 of 2)"; "" if there is nothing to say."""
    act: str = ""
    """What somebody would have to do for it, "set it"; "" for what is taken and given back, or ends."""
    holders: tuple[Holder, ...] = ()
    """Who took it, as far as that was noted."""
    ends: bool = False
    """The holders are tasks that have to end."""


@dataclass(frozen=True, slots=True)
class Stall:
    """An actor that could not go on, and where: `lock` names the lock wait, `place` the line of code."""

    actor: str
    place: str
    lock: LockWait | None = None
    wants: Want | None = None
    """What it waits for in the process, where it does."""
    holds: tuple[Held, ...] = ()

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The actors that it waits for, as far as they are known."""
        if self.lock is not None:
            return self.lock.holders
        return () if self.wants is None else tuple(each.actor for each in self.wants.holders if each.actor)


def circle_of(stalls: Sequence[Stall]) -> tuple[str, ...]:
    """Actors of which each waits for the next, and the last for the first: the first such circle; () if there is none.

    That an actor waits for itself is only said where there is no other one: it may have some connections of a pool.
    A session is known by its actor, and a task may have opened it that has ended: then its root actor has it.
    """
    standing = {each.actor: each for each in stalls}
    ahead = {name: [_standing(other, standing) for other in each.waits_for] for name, each in standing.items()}
    apart = {name: [other for other in others if other != name] for name, others in ahead.items()}
    circles = (_way(name, name, ways, ()) for ways in (apart, ahead) for name in standing)
    return next(filter(None, circles), ())


def _standing(name: str, standing: Mapping[str, Stall]) -> str:
    return name if name in standing else name.partition("/")[0]


def _way(now: str, goal: str, ahead: Mapping[str, Sequence[str]], behind: tuple[str, ...]) -> tuple[str, ...]:
    for following in ahead.get(now, ()):
        if following == goal:
            return (*behind, now)
        if following not in behind and following != now and (found := _way(following, goal, ahead, (*behind, now))):
            return found
    return ()
