"""What hunts found, for the terminal: of one scenario, of everything listed, at every isolation level."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from lab.analysis.overview import Line, Row
from lab.analysis.tally import HuntResult
from lab.model.text import count
from lab.model.verdict import Verdict
from lab.report.limits import begun, differing, limits, not_compared, seen
from lab.report.tables import hunt_table, matrix_table

__all__ = [
    "AS_IT_STANDS",
    "demonstration_lines",
    "demonstration_table",
    "failure_texts",
    "hunt_lines",
    "levels_table",
    "struck_by",
    "unsearched_lines",
]

AS_IT_STANDS = "as it stands"
"""The row of a scenario whose actors state levels of their own."""


def failure_texts(result: HuntResult) -> Iterator[str]:
    """Each failure as it was reported, with an empty line behind it."""
    for failure in result.failures:
        yield failure.report
        yield ""


def struck_by(faults: Sequence[str], at_most: int) -> Iterator[str]:
    """Which faults could strike, by name, and how many in an execution."""
    if faults and at_most:
        yield f"faults: {', '.join(faults)}; at most {at_most} in an execution"


def hunt_lines(result: HuntResult, scheduler: str, faults: Iterable[str] = ()) -> Iterator[str]:
    """The verdict on one scenario, and what it rests on.

    `scheduler`: as `lab.schedulers.describe` names it; `faults`: what `struck_by` says.
    """
    runs, traces = count(result.executions, "execution"), count(len(result.traces), "distinct trace")
    searched = f"{runs}, {traces}, {result.seconds:.1f} s"
    end = "; every schedule of this scheduler was run" if result.exhausted else ""
    yield f"{result.verdict}: {result.target}: {searched} · {scheduler}{end}"
    yield from faults
    if result.verdict == Verdict.PASS:
        for each in result.unsearched:
            yield f"not searched: {each}"
        for line in limits(
            len(result.traces),
            result.coverage,
            complete=result.complete,
            bound=result.bound,
            preemption_bound=result.preemption_bound,
        ):
            yield f"searched: {line}"
    for note in result.notes:
        yield f"note: {note}"
    if not result.failures and result.executions:
        yield from begun(result.starts)
        yield from seen(result.coverage)
        yield from not_compared(result.not_compared)
        yield from differing(result.uncontrolled)
    if result.reason:
        yield f"{'ended early' if result.trouble else 'why'}: {result.reason}"


def demonstration_table(lines: Iterable[Line]) -> Table:
    """Everything listed, a row for each scenario."""
    return hunt_table((line.as_expected, _of_a_scenario(line)) for line in lines)


def demonstration_lines(lines: Sequence[Line], interrupted: str) -> Iterator[str]:
    """What stands below the table: what was not expected, one planted bug as it is reported, and the score."""
    for line in lines:
        if not line.as_expected:
            yield from failure_texts(line.result)
    shown = next((line for line in lines if line.kind == "planted" and line.result.failures), None)
    if shown is not None:
        yield "One of the planted bugs, as the lab reports it:\n"
        yield shown.result.failures[0].report
        yield ""
    if interrupted:
        yield f"ended early: {interrupted}"
    for line in lines:
        if line.cannot:
            yield f"cannot run here: {line.target}: {line.cannot}"
    planted = [line.as_expected for line in lines if line.kind == "planted" and not line.cannot]
    right = [line.as_expected for line in lines if line.kind == "right" and not line.cannot]
    yield (f"{sum(planted)} of {len(planted)} planted bugs found, {sum(right)} of {len(right)} right variants pass")


def levels_table(rows: Iterable[Row]) -> Table:
    """One scenario at several isolation levels."""
    return matrix_table(map(_of_a_level, rows))


def unsearched_lines(rows: Iterable[Row]) -> Iterator[str]:
    """What was not searched, and at which of the levels that broke nothing."""
    at: dict[str, list[str]] = {}
    for row in rows:
        if row.result.verdict == Verdict.PASS:
            for each in row.result.unsearched:
                at.setdefault(each, []).append(row.isolation or AS_IT_STANDS)
    for each, levels in at.items():
        yield f"not searched at {', '.join(levels)}: {each}"


def _of_a_scenario(line: Line) -> tuple[str, ...]:
    result, smallest = line.result, ""
    if result.failures:
        first = result.failures[0]
        smallest = f"{first.steps} steps, {first.preemptions} pre."
    return (
        escape(line.target),
        line.kind,
        "not run" if line.cannot else result.verdict,
        str(result.executions),
        str(len(result.traces)),
        smallest or escape(line.cannot or line.error or result.reason),
    )


def _of_a_level(row: Row) -> tuple[str, ...]:
    result = row.result
    broken = "; ".join(failure.broken for failure in result.failures)
    return (
        f"{row.isolation or AS_IT_STANDS}{' *' if row.own else ''}",
        result.verdict,
        f"{result.violated}/{result.executions}",
        str(len(result.traces)),
        _counts(result.anomalies),
        _counts(result.aborts),
        str(result.lock_waits),
        f"{result.seconds:.1f}",
        escape(broken or result.reason),
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "-"
