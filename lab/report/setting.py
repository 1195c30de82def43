"""Where it was found, how far it was shrunk, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator

from lab.model.record import ExecutionRecord, Failure
from lab.model.text import count
from lab.report.limits import differing
from lab.report.section import Message, Section

__all__ = ["SECTION", "sure"]


def _setting(message: Message) -> Iterator[str]:
    if message.failure is None:
        yield _of_an_execution(message.record)
        yield from differing(message.record.outcome.learnt)
    else:
        yield from _of_a_failure(message.failure)


def _of_an_execution(record: ExecutionRecord) -> str:
    trace = record.trace
    return (
        f"{record.isolation} · {len(trace)} steps, {count(trace.preemptions, 'preemption')}, "
        f"{count(trace.context_switches, 'context switch', 'context switches')} · {record.outcome.ending}"
    )


def _of_a_failure(failure: Failure) -> Iterator[str]:
    record = failure.record
    if failure.execution:
        of = f" of {failure.executions}" if failure.executions else ""
        yield f"execution {failure.execution}{of} · {failure.scheduler} · {record.isolation}"
    setting = "" if failure.execution else f"{record.isolation} · "
    replayed = sure(failure.identical, failure.replays)
    yield f"{setting}{_shrunk(failure)}{replayed and f' · {replayed}'}"
    if failure.late:
        yield f"minimising was ended after {failure.late:g} s: there may be a smaller schedule"
    if failure.divergence:
        yield f"not every replay was identical: {failure.divergence}"
    if record.outcome.uncontrolled:
        yield f"not compared, since no schedule controls it: {', '.join(record.outcome.uncontrolled)}"
    yield from differing(record.outcome.learnt)


def sure(identical: int, replays: int) -> str:
    """How often a failure was the same when it was replayed; "" if it was not."""
    return f"replayed {identical}/{replays} identical" if replays else ""


def _shrunk(failure: Failure) -> str:
    found, trace = failure.found.trace, failure.record.trace
    switches = count(trace.context_switches, "context switch", "context switches")
    if (len(found), found.preemptions) == (len(trace), trace.preemptions):
        return f"{count(len(trace), 'step')}, {count(trace.preemptions, 'preemption')}, {switches}"
    return (
        f"minimised {len(found)} → {count(len(trace), 'step')}, "
        f"{found.preemptions} → {count(trace.preemptions, 'preemption')}, {switches}"
    )


SECTION = Section("setting", _setting, apart=False)
