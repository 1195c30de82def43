"""An execution of a scenario as a spec, tried before it is handed out: its schema, its rows, its order.

What a scenario's schema is made by, metadata or a hook, is seen as SQLAlchemy sends it when its database is made.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, event

from lab.explore.conditions import Conditions
from lab.explore.explorer import Explorer
from lab.explore.spec.exported import exported
from lab.explore.spec.reader import spec_of
from lab.explore.spec.stage import Performance, Stage, performed
from lab.model.record import ExecutionRecord
from lab.postgres.server.server import Server
from lab.scenario.declare import Scenario
from lab.schedulers.base import Scheduler

__all__ = ["retold"]

_MAKES = re.compile(r"\s*(?:CREATE|ALTER|COMMENT|GRANT|DO|SELECT setval)\b", re.IGNORECASE)


async def retold(
    explorer: Explorer, server: Server, scenario: Scenario, scheduler: Scheduler, conditions: Conditions
) -> tuple[str, str]:
    """The spec of one execution, and what is other when it is run as PostgreSQL's runner does; "" for nothing.

    The explorer is a new one, so that it makes the scenario's database here. Raises `UsageError` where the execution
    holds what no spec can, and what `Explorer.run` raises.
    """
    with _schema_seen() as schema:
        snapshot = await explorer.made(scenario)
    record = await explorer.run(scenario, scheduler, conditions)
    text = exported(record, schema, snapshot.script)
    composite = exported(record, schema, snapshot.script, compared=True)
    stage = await Stage.open(server)
    try:
        return text, _difference(record, await performed(stage, spec_of(composite, "exported")))
    finally:
        await stage.aclose()


def _difference(record: ExecutionRecord, performance: Performance) -> str:
    if performance.aborted:
        return f"it cannot be run: {performance.aborted.strip()}"
    ((_, answers),) = performance.permutations
    failed = {answer.call.step.name for answer in answers if answer.failed}
    refused: dict[str, str] = {}
    for step in record.trace:
        if step.result is not None and step.result.error:
            began = step.number if not step.woken else _beginning(record, step.number)
            refused[f"{step.actor}_{began}"] = step.result.error
    if failed != refused.keys():
        return f"refused are {', '.join(sorted(failed)) or 'none'} and were {', '.join(sorted(refused)) or 'none'}"
    tables = [answer.text for answer in answers if answer.call.step.name.startswith("afterwards_")]
    rows = sorted(line.rstrip() for text in tables for line in text.splitlines()[2:-2])
    known = sorted(row.replace("\n", "\\n").rstrip() for after in record.outcome.rows.values() for row in after)
    if len(rows) != len(known) or (rows != known and not record.outcome.uncontrolled and not record.outcome.learnt):
        return f"the rows in the end are {', '.join(rows)} and were {', '.join(known)}"
    return ""


def _beginning(record: ExecutionRecord, number: int) -> int:
    """The step that began the wait which ended in a step."""
    actor = record.trace.steps[number - 1].actor
    return max(each.number for each in record.trace if each.number < number and each.actor == actor and not each.woken)


@contextlib.contextmanager
def _schema_seen() -> Iterator[list[str]]:
    """The statements that make something, as SQLAlchemy sends them in the block."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: Any) -> None:
        if _MAKES.match(statement) and not parameters:
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)
