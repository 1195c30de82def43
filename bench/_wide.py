"""Random programs over all that hides what a statement touches, for `reduction.py --wide`.

The tables have what no construct shows: rules, triggers, functions, children, partitions, generated columns, keys over
expressions and under conditions, constraints that are deferred, a sequence with two users. A program is drawn from its
seed, so the same seed is the same program in every process. Its actors have to do with each other: one takes a kind of
statement in turn, the other one a kind that meets it, and what they add mostly meets these, on the same
rows; or both do the same on two rows in opposite order.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from _wide_kinds import DECLARED, KINDS, UNDECLARED, Kind, script
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from lab import Scenario, actor

__all__ = ["Planned", "ThreeWide", "TwoWide", "wide"]

NAMES = "ann", "ben", "cat"
SAVEPOINTS = "release", "rollback"
MOST_ORDERS = 100
"""Interleavings beyond which a program is drawn anew: those that wait have about as many, and brute force runs all."""


@dataclass(frozen=True)
class Planned:
    """A statement of a program: the name of its kind, its numbers, and its savepoint: "" for none, or how it ends."""

    kind: str
    row: int
    other: int
    savepoint: str = ""


Program = dict[str, tuple[list[Planned], str]]
"""Actor -> its statements, and how it ends."""


def program_of(seed: int, actors: int, lengths: Sequence[int]) -> Program:
    """The program of a seed for so many actors; `lengths` are how many statements an actor may have."""
    chance = random.Random(seed)
    pool = _pool(seed, chance)
    row, other = chance.randint(1, 2), chance.randint(1, 3)
    if actors == 2 and chance.random() < 0.25:
        return _crossed(chance, pool, row, other)
    while True:
        found = {name: _drawn(chance, pool, place, lengths, row, other) for place, name in enumerate(NAMES[:actors])}
        if _orders(found) <= MOST_ORDERS:
            return found


def _pool(seed: int, chance: random.Random) -> list[str]:
    """Three kinds. The first is each in turn, in another order in each round; the others meet it or each other."""
    rounds, place = divmod(seed, len(KINDS))
    first = random.Random(f"round {rounds}").sample(sorted(KINDS), len(KINDS))[place]
    second = chance.choice(_meeting(first))
    third = _meeting(first, second)
    readers = [name for name in third if not KINDS[name].locks | KINDS[name].writes]
    return [first, second, chance.choice(readers if readers and chance.random() < 0.7 else third)]


def _meeting(*names: str) -> list[str]:
    """The kinds that meet one of these; where none does, these."""
    return [each for each in sorted(KINDS) if any(KINDS[each].meets(KINDS[name]) for name in names)] or [*names]


def _drawn(
    chance: random.Random, pool: Sequence[str], place: int, lengths: Sequence[int], row: int, other: int
) -> tuple[list[Planned], str]:
    """What the actor at this place does: a kind of its own among others of the pool, mostly with the given numbers."""
    names = chance.choices(pool, k=chance.choice(lengths) - 1)
    names.insert(chance.randint(0, len(names)), pool[place] if place < 2 else chance.choice(pool))
    nested = chance.randrange(len(names)) if chance.random() < 0.15 else -1
    planned = []
    for number, each in enumerate(names):
        mine = row if chance.random() < 0.85 else 3 - row
        theirs = other if chance.random() < 0.6 else chance.randint(1, 3)
        planned.append(Planned(each, mine, theirs, chance.choice(SAVEPOINTS) if number == nested else ""))
    return planned, "rollback" if chance.random() < 0.06 else "commit"


def _crossed(chance: random.Random, pool: Sequence[str], row: int, other: int) -> Program:
    """The same two kinds by both actors, on two rows in opposite order, as deadlocks have it."""
    kinds = [pool[0], chance.choice(pool)]
    chance.shuffle(kinds)
    found: Program = {}
    for name, rows in zip(NAMES, ((row, 3 - row), (3 - row, row)), strict=False):
        numbers = [other if chance.random() < 0.5 else chance.randint(1, 3) for _ in kinds]
        found[name] = [Planned(*each) for each in zip(kinds, rows, numbers, strict=True)], "commit"
    return found


def _orders(program: Program) -> int:
    """How many orders the steps have where nobody waits."""
    steps = [1 + sum(3 if each.savepoint else 1 for each in planned) for planned, _ in program.values()]
    return math.factorial(sum(steps)) // math.prod(map(math.factorial, steps))


@dataclass(frozen=True)
class TwoWide(Scenario):
    """Two transactions of one to three random statements about the same tables."""

    seed: int = 0
    breakpoints = False
    equivalent = None
    allows = (DBAPIError,)
    lengths: ClassVar[Sequence[int]] = (1, 2, 2, 2, 3)
    actors: ClassVar[int] = 2

    def program(self) -> Program:
        """What each actor does."""
        return program_of(self.seed, self.actors, self.lengths)

    def kinds(self) -> list[Kind]:
        """The kinds of its statements."""
        return [KINDS[each.kind] for planned, _ in self.program().values() for each in planned]

    async def schema(self, connection: AsyncConnection) -> None:
        """The relations that the program needs."""
        for each in script(name for kind in self.kinds() for name in kind.touches)[0]:
            await connection.execute(text(each))

    async def setup(self, session: AsyncSession) -> None:
        """A few rows in each."""
        for each in script(name for kind in self.kinds() for name in kind.touches)[1]:
            await session.execute(text(each))

    @actor(names=("ann", "ben"))
    async def work(self, session: AsyncSession, name: str) -> list[object]:
        """Execute the program. What fails within a savepoint is answered, and the transaction goes on."""
        statements, end = self.program()[name]
        seen: list[object] = []
        for each in statements:
            statement = KINDS[each.kind].make(DECLARED if self.seed // 4 % 2 else UNDECLARED, each.row, each.other)
            if not each.savepoint:
                seen.append(_answer(await session.execute(statement)))
                continue
            nested = await session.begin_nested()
            try:
                seen.append(_answer(await session.execute(statement)))
            except DBAPIError as error:
                seen.append(getattr(error.orig, "sqlstate", ""))
                await nested.rollback()
            else:
                await (nested.rollback() if each.savepoint == "rollback" else nested.commit())
        await (session.rollback() if end == "rollback" else session.commit())
        return seen


@dataclass(frozen=True)
class ThreeWide(TwoWide):
    """Three transactions of one statement, seldom two."""

    lengths: ClassVar[Sequence[int]] = (1, 1, 1, 2)
    actors: ClassVar[int] = 3

    @actor(names=("ann", "ben", "cat"))
    async def work(self, session: AsyncSession, name: str) -> list[object]:
        """The same."""
        return await super().work(session, name)


def wide(seed: int) -> TwoWide:
    """The program of a number: of three actors in one of four."""
    return (ThreeWide if seed % 4 == 3 else TwoWide)(seed=seed)


def _answer(result: Any) -> object:
    return [tuple(row) for row in result] if result.returns_rows else result.rowcount
