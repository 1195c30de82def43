"""Invariants that hold in another way than at the end by a method: always, or by a value that a checker judges."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

__all__ = ["ALWAYS", "INVARIANT", "NoDeadlock", "Serializable", "Stated", "always", "no_deadlock", "serializable"]

INVARIANT = "_lab_invariant"
"""The attribute that marks an invariant: the checker that judges it, or `ALWAYS`."""
ALWAYS = "always"

Body = TypeVar("Body", bound=Callable[..., Awaitable[object]])


@dataclass(frozen=True, slots=True)
class Stated:
    """An invariant by its checker; `location` is the line that states it."""

    location: str


class Serializable(Stated):
    """Some serial order of the actors gives the same result; `serializable` makes one."""

    _lab_invariant: ClassVar[str] = "serial"


class NoDeadlock(Stated):
    """The server refuses nobody to break a deadlock; `no_deadlock` makes one."""

    _lab_invariant: ClassVar[str] = "deadlock"


def always(body: Body) -> Body:
    """Declare a coroutine method as an invariant that holds after each COMMIT, and not only at the end.

        @always
        async def no_money_is_missing(self, session: AsyncSession) -> None: ...

    It judges by `assert` what others can see: what is committed at that moment, in a snapshot of its own that can write
    nothing. It asks for `session` or `connection`; `outcome` and `client` are there only at the end. A function of
    `lab.race(holds=…)` may be marked so, too.
    """
    setattr(body, INVARIANT, ALWAYS)
    return body


def serializable() -> Serializable:
    """An invariant: results and final rows are those of some serial order of the actors that were not refused.

        as_if_one_after_the_other = lab.serializable()

    Serializability in Papadimitriou's sense (1979), judged by what can be seen: of final states and of what each
    request returned, not of the order of reads and writes inside.
    """
    return Serializable(_line(2))


def no_deadlock() -> NoDeadlock:
    """An invariant: no actor waits for another one that waits for it, whatever the code makes of the refusal (40P01).

        nobody_waits_in_a_circle = lab.no_deadlock()

    Without it a deadlock is an abort like any other, since a retry may cure it.
    """
    return NoDeadlock(_line(2))


def _line(depth: int) -> str:
    """Where a function was called from, so many calls ago."""
    caller = sys._getframe(depth)  # noqa: SLF001 - the one way to know where it is stated
    return f"{caller.f_code.co_filename}:{caller.f_lineno}"
