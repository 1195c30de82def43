"""The failure message, in the order in which a reader needs it.

What broke; the smallest story; why; how sure; how to replay.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.checkers.isolation.explanation import Explanation, explain
from lab.checkers.isolation.judge import judge
from lab.model.outcome import ResultKind
from lab.model.record import AtLevel, DeadlockEdge, ExecutionRecord, Failure, Finding
from lab.report.anomaly import anomaly_lines
from lab.report.relevance import relevance_lines
from lab.report.serial import serial_lines
from lab.report.sql import statement_text
from lab.report.story import WIDTH, story
from lab.scenario.checks import SERIAL, serial_invariants_of
from lab.scenario.declare import target_of

__all__ = ["count", "execution_report", "explanation_of", "failure_report"]

HEADLINES = {
    "invariant": "INVARIANT BROKEN",
    "result": "UNEXPECTED ERROR",
    "stall": "STALL",
    "isolation": "ISOLATION BROKEN BY THE DATABASE",
    "serial": "NOT SERIALIZABLE",
}


def failure_report(failure: Failure, *, replay_hint: str = "lab replay") -> str:
    """The whole message for a failure, as plain text of several lines."""
    record = failure.record
    return "\n".join(
        [
            *_what_broke(record),
            *_where_found(failure),
            "",
            story(record.trace),
            "",
            *relevance_lines(failure.relevance),
            *_why(record, failure.levels),
            f"Replay   {replay_hint} {failure.token}{_asked_for(record)}",
        ]
    )


def execution_report(record: ExecutionRecord) -> str:
    """One execution without a hunt around it: what broke, if anything, and the story."""
    head = list(_what_broke(record)) if record.failed else [f"NO VIOLATION  {target_of(record.scenario)}"]
    return "\n".join([*head, _setting(record), "", story(record.trace), "", *_why(record)]).rstrip()


def _what_broke(record: ExecutionRecord) -> Iterator[str]:
    explained = explanation_of(record)
    for finding in record.findings:
        if finding.checker == "stall":  # who waits for what is told below, with the places in code
            yield f"{HEADLINES[finding.checker]}  nobody can go on"
            continue
        headline = HEADLINES[finding.checker]
        if finding.checker in ("invariant", "serial") and explained is not None:
            headline = explained.meaning.upper()
        yield f"{headline}  {finding.message}"
        if finding.location:
            yield f'invariant "{finding.name}"  {_short(finding)}'.rstrip()
        else:
            yield f'expected "{finding.name}"'
    yield f"scenario {target_of(record.scenario)}  {record.scenario!r}"


def _asked_for(record: ExecutionRecord) -> str:
    """What a replay has to be told, where a check found something that the scenario does not ask for by itself."""
    found = any(finding.checker == SERIAL for finding in record.findings)
    return f" --check {SERIAL}" if found and not serial_invariants_of(type(record.scenario)) else ""


def _short(finding: Finding) -> str:
    path, _, line = finding.location.rpartition(":")
    try:
        return f"{Path(path).relative_to(Path.cwd())}:{line}"
    except ValueError:
        return f"{Path(path).name}:{line}"


def _relative(place: str) -> str:
    """A place in code without the current folder in front."""
    return place.removeprefix(f"{Path.cwd()}{os.sep}")


def _setting(record: ExecutionRecord) -> str:
    trace = record.trace
    return (
        f"{record.isolation} · {len(trace)} steps, {count(trace.preemptions, 'preemption')}, "
        f"{count(trace.context_switches, 'context switch', 'context switches')} · {record.outcome.ending}"
    )


def _where_found(failure: Failure) -> Iterator[str]:
    record = failure.record
    if failure.execution:
        of = f" of {failure.executions}" if failure.executions else ""
        yield f"execution {failure.execution}{of} · {failure.scheduler} · {record.isolation}"
    setting = "" if failure.execution else f"{record.isolation} · "
    sure = f" · replayed {failure.identical}/{failure.replays} identical" if failure.replays else ""
    yield f"{setting}{_shrunk(failure)}{sure}"
    if failure.divergence:
        yield f"not every replay was identical: {failure.divergence}"
    if record.outcome.uncontrolled:
        yield f"not compared, since no schedule controls it: {', '.join(record.outcome.uncontrolled)}"


def _shrunk(failure: Failure) -> str:
    found, trace = failure.found.trace, failure.record.trace
    switches = count(trace.context_switches, "context switch", "context switches")
    if (len(found), found.preemptions) == (len(trace), trace.preemptions):
        return f"{count(len(trace), 'step')}, {count(trace.preemptions, 'preemption')}, {switches}"
    return (
        f"minimised {len(found)} → {count(len(trace), 'step')}, "
        f"{found.preemptions} → {count(trace.preemptions, 'preemption')}, {switches}"
    )


def _why(record: ExecutionRecord, levels: Sequence[AtLevel] = ()) -> Iterator[str]:
    lines = [
        *_anomaly(record, levels),
        *serial_lines(record.serial),
        *_results(record),
        *(line for cycle in record.deadlocks for line in _deadlock(cycle)),
        *_stalls(record),
    ]
    if lines:
        yield "Why"
        yield from (f"  {line}" for line in lines)
        yield ""


def explanation_of(record: ExecutionRecord) -> Explanation | None:
    """The anomaly that explains a failure: the strongest one of its history."""
    if record.history is None:
        return None
    anomalies = judge(record.history).anomalies
    return explain(anomalies[0], record.history) if anomalies else None


def _anomaly(record: ExecutionRecord, levels: Sequence[AtLevel]) -> Iterator[str]:
    explained = explanation_of(record)
    if explained is None:
        return
    *lines, verdict = anomaly_lines(explained)
    yield from lines
    yield "; ".join([verdict, *map(_at, levels[:1])])
    yield from map(_at, levels[1:])
    if record.unseen:
        yield f"not all is known of what these read: {'; '.join(map(statement_text, record.unseen))}"


def _at(level: AtLevel) -> str:
    """What the same order gave at another level. It was run once."""
    names = " and ".join(name for name, _ in level.refused)
    states = ", ".join(dict.fromkeys(state or "stale data" for _, state in level.refused))
    if not level.refused:
        return f"at {level.isolation} {'it breaks as well' if level.broken else 'nothing breaks'} (ran: 1 of 1)"
    aborted = f"at {level.isolation} {names} {'is' if len(level.refused) == 1 else 'are'} aborted"
    return f"{aborted} ({states}; ran: 1 of 1){', and the same breaks' if level.broken else ''}"


def _results(record: ExecutionRecord) -> Iterator[str]:
    for name, result in record.outcome.results.items():
        if result.kind is ResultKind.RETURNED:
            value = "" if result.value is None else f" {result.text}"
            yield f"{name} returned{value}"
        elif result.kind is ResultKind.UNFINISHED:
            yield f"{name} {result.text}"
        else:
            state = f" ({result.sqlstate})" if result.sqlstate else ""
            yield f"{name} {result.kind}: {result.text}{state}"


def _deadlock(cycle: tuple[DeadlockEdge, ...]) -> Iterator[str]:
    yield "deadlock, each waits for the next:"
    for edge in cycle:
        sql = f" in {statement_text(edge.sql, edge.parameters)}" if edge.sql else ""
        line = f"{edge.waiter} waits for {edge.holder}: {edge.mode} on {edge.target}{sql}"
        yield f"  {line if len(line) < WIDTH else line[: WIDTH - 2] + '…'}"


def _stalls(record: ExecutionRecord) -> Iterator[str]:
    for stall in record.stalls:
        if stall.lock is not None:
            holders = " and ".join(stall.lock.holders) or "somebody"
            yield f"{stall.actor} waits for a lock of {holders}: {statement_text(stall.place)}"
        else:
            yield f"{stall.actor} waits in the process: {_relative(stall.place)}"


def count(number: int, one: str, many: str = "") -> str:
    """A number and its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"
