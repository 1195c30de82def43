"""How an execution ended, in texts that can be compared: what no schedule controls is masked."""

from __future__ import annotations

import dataclasses

from sqlalchemy.exc import DBAPIError

from lab.engine.plan import Finished
from lab.model.history import History
from lab.model.outcome import ActorResult, Ending, Mask, Outcome, ResultKind
from lab.model.trace import Step, Trace
from lab.postgres.database import Database
from lab.postgres.recording.results import aborted_or_raised, is_connection_loss, returned
from lab.postgres.tables.reset import Snapshot

__all__ = ["masked", "outcome_of", "recorded"]


async def recorded(database: Database, snapshot: Snapshot, mask: Mask) -> tuple[History | None, tuple[str, ...]]:
    """The history, and the statements of which not all reads are known; None where its tables were dropped."""
    try:
        return await database.history(snapshot, mask)
    except DBAPIError as error:
        if not database.journal.altered or is_connection_loss(error):
            raise
        return None, ()


async def outcome_of(database: Database, finished: Finished, mask: Mask) -> Outcome:
    """What each actor returned or raised, as well as tasks of theirs whose errors nobody took; and the final rows."""
    results: dict[str, ActorResult] = {}
    tasks = [name for name in finished.errors if name not in finished.trace.actors]
    for name in (*tasks, *finished.trace.actors):
        if name in finished.errors:
            struck = name in finished.struck
            results[name] = aborted_or_raised(
                finished.errors[name], finished.sessions, mask, struck=struck, late=name in finished.late
            )
        elif name in finished.values:
            results[name] = returned(finished.values[name], mask)
        else:
            results[name] = ActorResult(ResultKind.UNFINISHED, "did not end")
    ending = finished.ending
    if ending is Ending.COMPLETED and any(r.sqlstate == "40P01" for r in results.values()):
        ending = Ending.DEADLOCKED
    rows = {table: tuple(map(mask, texts)) for table, texts in (await database.rows()).items()}
    return Outcome(ending, results, rows, tuple(sorted(mask.found)))


def masked(trace: Trace, mask: Mask) -> Trace:
    """The trace without what no schedule controls, in bound values and results."""
    return dataclasses.replace(trace, steps=tuple(_masked_step(step, mask) for step in trace.steps))


def _masked_step(step: Step, mask: Mask) -> Step:
    action, result = step.action, step.result
    wait = step.wait and dataclasses.replace(step.wait, target=mask(step.wait.target))
    parameters = tuple(_masked_value(p, mask) for p in action.parameters)
    if parameters != action.parameters:
        action = dataclasses.replace(action, parameters=parameters)
    if result is not None and result.rows:
        rows = tuple(tuple(map(mask, row)) for row in result.rows)
        if rows != result.rows:
            result = dataclasses.replace(result, rows=rows)
    return dataclasses.replace(step, action=action, result=result, wait=wait)


def _masked_value(value: object, mask: Mask) -> object:
    return tuple(map(mask, value)) if isinstance(value, tuple) else mask(str(value))
