"""Judges executions by serial runs: runs those that are needed, and keeps their results.

The yardstick is made lazily. Most executions equal the serial run in whose order their actors ended, so it is tried
first; only a violation pays for every order. A serial run is made once for what `setup` made, at an isolation level.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from lab.checkers.serial import equivalence as serial
from lab.checkers.serial.effects import Effects, effects_of
from lab.checkers.serial.renaming import Answer, compare
from lab.errors import ServerError
from lab.explore.conditions import Conditions
from lab.model.layout import Drawn, Layout
from lab.model.record import ExecutionRecord
from lab.model.yardstick import SerialJudgement
from lab.postgres.database import Database
from lab.postgres.server.monitor import LOST
from lab.postgres.tables.reset import Snapshot
from lab.scenario.declare import Scenario, parameters_of
from lab.schedulers.base import Scheduler
from lab.schedulers.serial import InOrder

__all__ = ["SerialJudge"]

YARDSTICKS_KEPT = 200
"""Sets of serial runs, one for each set of parameters; Hypothesis makes some 100 examples."""

TOO_MANY_WAYS = "its generated ids can be exchanged in too many ways to compare it with serial runs"

Order = tuple[str, ...]
Run = Callable[[Scenario, Scheduler, Conditions], Awaitable[ExecutionRecord]]
Yardstick = dict[Order, Effects | None]
"""Order -> what the serial run gave; None: it cannot be compared with."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """An execution that is over, and what it drew from sequences; its effects for each part of its actors."""

    record: ExecutionRecord
    database: Database
    drawn: Drawn
    layout: Layout
    """Of the tables that the execution left."""
    _effects: dict[frozenset[str], Effects] = field(default_factory=dict)

    def effects(self, actors: Sequence[str]) -> Effects:
        part = frozenset(actors)
        if part not in self._effects:
            record = self.record
            self._effects[part] = effects_of(record.trace, record.outcome, self.layout, self.drawn, part)
        return self._effects[part]


class SerialJudge:
    """Compares executions with serial runs of their actors. `run` performs one execution and judges nothing by this."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._yardsticks: dict[tuple[type[Scenario], str, str, str | None, bool], Yardstick] = {}

    async def judge(
        self,
        record: ExecutionRecord,
        database: Database,
        snapshot: Snapshot,
        isolation: str | None,
    ) -> SerialJudgement:
        """How an execution compares with serial runs.

        Call it before anything else is run: the sequences have to stand where the execution left them.
        """
        if obstacle := serial.obstacle(record.trace, record.outcome):
            return SerialJudgement(obstacle=obstacle)
        seen = await _seen(record, database, snapshot)
        yardstick = self._yardstick(record, snapshot, isolation)
        trial = _Trial(self, seen, snapshot, isolation, yardstick)
        return await trial.judgement()

    async def effects(
        self, judged: ExecutionRecord, database: Database, snapshot: Snapshot, isolation: str | None, order: Order
    ) -> Effects | None:
        """What the actors give in this order; None where they cannot run in it one after the other to their end."""
        conditions = Conditions(isolation, breakpoints=False, actors=order, starts=judged.trace.starts)
        record = await self._run(judged.scenario, InOrder(order), conditions)
        if not serial.is_serial(record.trace, record.outcome, order):
            return None
        return (await _seen(record, database, snapshot)).effects(order)

    def forget(self, cls: type[Scenario]) -> None:
        """Make the serial runs of a scenario again: more is known of what in them cannot be compared."""
        self._yardsticks = {key: kept for key, kept in self._yardsticks.items() if key[0] is not cls}

    def _yardstick(self, record: ExecutionRecord, snapshot: Snapshot, isolation: str | None) -> Yardstick:
        """The serial runs that are known. They belong to the rows of one setup, which may hold a clock's values."""
        scenario = record.scenario
        key = type(scenario), repr(parameters_of(scenario)), snapshot.script, isolation, record.trace.starts
        if key not in self._yardsticks:
            while len(self._yardsticks) >= YARDSTICKS_KEPT:
                del self._yardsticks[next(iter(self._yardsticks))]
            self._yardsticks[key] = {}
        return self._yardsticks[key]


@dataclass(frozen=True, slots=True)
class _Trial:
    """One execution before its judge, with the serial runs that are known."""

    judge: SerialJudge
    seen: _Seen
    snapshot: Snapshot
    isolation: str | None
    yardstick: Yardstick

    async def judgement(self) -> SerialJudgement:
        """Equal to a serial run or not. The judgement does not depend on which runs were known before."""
        trace, outcome = self.seen.record.trace, self.seen.record.outcome
        first = serial.order_of_ends(trace, outcome)
        own = sorted({*outcome.uncontrolled, *self.seen.effects(first).normalised})
        if first not in self.yardstick and self._is_serial(first):  # it is a serial run itself
            self.yardstick[first] = self.seen.effects(first)
        if await self._equals_one_of([first]):
            return SerialJudgement(normalised=tuple(own))
        every = serial.orders(first, outcome)
        known = [order for order in every if order in self.yardstick]
        if await self._equals_one_of(known) or await self._equals_one_of(every):
            return SerialJudgement(normalised=tuple(own))
        ran = {order: effects for order in every if (effects := self.yardstick[order]) is not None}
        if any(compare(self.seen.effects(order), there) is Answer.UNDECIDED for order, there in ran.items()):
            return SerialJudgement(normalised=tuple(own), obstacle=TOO_MANY_WAYS)
        compared = {order: serial.differences(self.seen.effects(order), there) for order, there in ran.items()}
        return serial.nearest(compared, len(every) - len(ran), own)

    def _is_serial(self, order: Order) -> bool:
        record = self.seen.record
        return record.applied is None and serial.is_serial(record.trace, record.outcome, order)

    async def _equals_one_of(self, orders: Iterable[Order]) -> bool:
        for order in orders:
            if order not in self.yardstick:
                self.yardstick[order] = await self._serial_run(order)
            there = self.yardstick[order]
            if there is not None and compare(self.seen.effects(order), there) is Answer.SAME:
                return True
        return False

    async def _serial_run(self, order: Order) -> Effects | None:
        seen = self.seen
        return await self.judge.effects(seen.record, seen.database, self.snapshot, self.isolation, order)


async def _seen(record: ExecutionRecord, database: Database, snapshot: Snapshot) -> _Seen:
    return _Seen(record, database, await _drawn(database, snapshot), database.tables.layout)


async def _drawn(database: Database, snapshot: Snapshot) -> Drawn:
    """What the execution that is just over drew from sequences."""
    tables = database.tables
    if not tables.layout.sequences:
        return Drawn()
    try:
        return tables.layout.drawn(snapshot.positions, await tables.positions())
    except LOST as error:
        raise ServerError(f"the server died while an execution was judged: {error}") from error
