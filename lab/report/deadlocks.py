"""The cycles of deadlocks: who waited for whom, in which mode on what."""

from __future__ import annotations

from collections.abc import Iterator

from lab.model.text import cut
from lab.report.section import Message, Section
from lab.report.sql import statement_text
from lab.report.story import WIDTH

__all__ = ["SECTION"]


def _deadlocks(message: Message) -> Iterator[str]:
    for cycle in message.record.deadlocks:
        yield "deadlock, each waits for the next:"
        for edge in cycle:
            sql = f" in {statement_text(edge.sql, edge.parameters)}" if edge.sql else ""
            line = f"{edge.waiter} waits for {edge.holder}: {edge.mode} on {edge.target}{sql}"
            yield f"  {cut(line, WIDTH - 1)}"


SECTION = Section("deadlocks", _deadlocks, heading="Why")
