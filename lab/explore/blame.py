"""Whether an execution that equals no serial run is the database's doing, and not the application's.

At SERIALIZABLE PostgreSQL promises a serial order of the transactions that commit. Where each actor is one such
transaction and nothing else, and answers to what the database says and to nothing else, a result that no serial order
gives breaks that promise. Locks and retries are then no advice.

The claim is made only where all of it was observed: the level and the end of each transaction; that no statement may do
more than touch rows (a sequence, an advisory lock, the moment and chance lie outside the promise); that every serial
order was run; and that, over all these runs, an actor that had the same answers sent the same statement next and ended
the same. State that actors share in the process shows by that, and where their code refers to it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, permutations

from lab.checkers.isolation.promises import ISOLATION
from lab.explore.conditions import Conditions
from lab.explore.contained import or_else
from lab.explore.performed import Performed
from lab.explore.serial_runs import SerialJudge
from lab.explore.shared_state import shares_state
from lab.model.outcome import Outcome
from lab.model.record import ExecutionRecord
from lab.model.trace import ActionKind, Trace
from lab.model.yardstick import SerialJudgement
from lab.postgres.connections.journal import Session
from lab.postgres.statements.shapes import Relations
from lab.scenario.checks import serial_invariants_of
from lab.scenario.declare import Scenario, actors_of, parameters_of
from lab.schedulers.base import Scheduler
from lab.schedulers.serial import InOrder

__all__ = ["Blame"]

MOST_ACTORS = 4
"""They have 24 orders, each of which is run once."""
_MOMENT_OR_CHANCE = re.compile(
    r"\b(?:now|\w*_timestamp|timeofday|random\w*|gen_random_uuid|current_(?:time|date)|localtime(?:stamp)?)\b"
    r"|\bSKIP\s+LOCKED\b|\bTRUNCATE\b",
    re.IGNORECASE,
)
_INTO = re.compile(r"\b(INSERT\s+INTO)\s+[\w.\"]+", re.IGNORECASE)
"""The table of an INSERT, which stands before a parenthesis and is no function."""
_OF_TRANSACTIONS = (ActionKind.STATEMENT, ActionKind.FETCH, ActionKind.COMMIT, ActionKind.ROLLBACK, ActionKind.START)

Conduct = tuple[tuple[object, object], ...]
"""What an actor sent, each with what it was answered; last how it ended, with None."""
Run = Callable[[Scenario, Scheduler, Conditions], Awaitable[ExecutionRecord]]


def _each_is_one_transaction(record: ExecutionRecord, performed: Performed) -> bool:
    """Whether each actor committed one transaction at SERIALIZABLE, or was refused, and did nothing else that is seen.

    Call it before anything else is run: the journal has to be that of the execution.
    """
    finished, database, outcome = performed.finished, performed.database, record.outcome
    if len(record.trace.actors) > MOST_ACTORS or record.trace.extras or performed.applied is not None:
        return False
    beside = (finished.crossed, finished.elsewhere, finished.threads, finished.stalls, finished.sharings, record.notes)
    if any(beside) or any((record.unsteady, outcome.uncontrolled, outcome.learnt, database.journal.altered)):
        return False
    return _committed_once(outcome, database.journal.sessions) and _only_rows(record.trace, database.tables.catalog)


def _committed_once(outcome: Outcome, sessions: Iterable[Session]) -> bool:
    used = [each for each in sessions if each.events]
    took_part = {name for name, result in outcome.results.items() if not result.aborted}
    return (
        len({each.actor for each in used}) == len(used)
        and all("/" not in name and outcome.results[name].returned for name in took_part)
        and all(each.level == "SERIALIZABLE" and (each.committed or each.actor not in took_part) for each in used)
    )


def _only_rows(trace: Trace, catalog: Relations) -> bool:
    """Whether all that was done reads and writes rows, and is told no moment and no chance."""
    if any(step.action.kind not in _OF_TRANSACTIONS for step in trace):
        return False
    texts = {step.action.text for step in trace if step.action.kind is ActionKind.STATEMENT}
    return not any(_MOMENT_OR_CHANCE.search(text) or catalog.is_wild(_INTO.sub(r"\1", text)) for text in texts)


def _shows_a_fault(judgement: SerialJudgement) -> bool:
    """Whether every serial order was run, and each gives something else in what was compared, which was everything."""
    return bool(judgement.differences) and not (judgement.unusable or judgement.normalised or judgement.obstacle)


class Blame:
    """Compares executions with serial runs, and how the actors act in both. `run` performs one execution."""

    def __init__(self, run: Run, serial: SerialJudge) -> None:
        self._run = run
        self._serial = serial
        self._known: dict[object, Sequence[ExecutionRecord]] = {}

    async def judged(
        self, performed: Performed, record: ExecutionRecord, conditions: Conditions, *, asked: bool
    ) -> ExecutionRecord:
        """The execution beside serial runs, where a check asks for them or the database may be at fault.

        Call it before anything else is run. Where it fails itself, what asked for it was not done.
        """
        stated = bool(serial_invariants_of(type(record.scenario), asked=asked))
        comparing = self._judged(performed, record, conditions, stated=stated)
        judged, defect = await or_else("compare this execution with serial runs", comparing, record)
        if defect and (stated or ISOLATION in conditions.checks):
            return replace(record, not_checked=(*record.not_checked, defect))
        return replace(record, defects=(*record.defects, defect)) if defect else judged

    async def _judged(
        self, performed: Performed, record: ExecutionRecord, conditions: Conditions, *, stated: bool
    ) -> ExecutionRecord:
        of_interest = stated or ISOLATION in conditions.checks or bool(record.broken)
        blamable = conditions.records and of_interest and _each_is_one_transaction(record, performed)
        if not (stated or blamable):
            return record
        judgement = await self._serial.judge(record, performed.database, performed.snapshot, conditions.isolation)
        fault = blamable and _shows_a_fault(judgement) and await self._is_of_the_database(record, conditions.isolation)
        return replace(record, serial=judgement if stated else None, database_fault=judgement if fault else None)

    async def _is_of_the_database(self, record: ExecutionRecord, isolation: str | None) -> bool:
        """Whether the actors of an execution that equals no serial run answer to the database only."""
        scenario = record.scenario
        if any(shares_state(scenario, each.attribute) for each in actors_of(type(scenario))):
            return False
        runs = [record, *await self._serial_runs(record, isolation)]
        names = record.trace.actors
        conducts = {name: [_conduct(run, name) for run in runs if name in run.trace.actors] for name in names}
        return all(_agree(*pair) for each in conducts.values() for pair in combinations(each, 2))

    async def _serial_runs(self, record: ExecutionRecord, isolation: str | None) -> Sequence[ExecutionRecord]:
        scenario = record.scenario
        took_part = tuple(name for name, result in record.outcome.results.items() if result.returned)
        key = type(scenario), repr(parameters_of(scenario)), isolation, record.trace.starts, took_part
        if key not in self._known:
            self._known.clear()  # a hunt is of one scenario, and mostly of one set of parameters
            self._known[key] = [
                await self._run(scenario, InOrder(order), self._conditions(record, isolation, order))
                for order in permutations(took_part)
            ]
        return self._known[key]

    def _conditions(self, record: ExecutionRecord, isolation: str | None, order: tuple[str, ...]) -> Conditions:
        return Conditions(isolation, breakpoints=False, actors=order, starts=record.trace.starts)


def _conduct(record: ExecutionRecord, actor: str) -> Conduct:
    result = record.outcome.results[actor]
    return (*_asked_and_answered(record, actor), ((result.kind, result.text, result.sqlstate), None))


def _asked_and_answered(record: ExecutionRecord, actor: str) -> Iterator[tuple[object, object]]:
    """A statement that waited has its answer in the step in which it went on."""
    for step in record.trace:
        if step.actor == actor and step.wait is None:
            action, result = step.action, step.result
            answer = None if result is None else (result.tag, result.rows, result.error)
            yield (action.kind, action.text, action.parameters), answer


def _agree(one: Conduct, other: Conduct) -> bool:
    """Whether two runs of an actor went on alike as long as the answers were alike."""
    for (asked, answer), (its, its_answer) in zip(one, other, strict=False):
        if asked != its:
            return False
        if answer != its_answer:
            return True
    return len(one) == len(other)
