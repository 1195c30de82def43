"""What helps against a failure: a grid of remedies and levels, what each costs, why others have no better verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lab.model.remedy import NO_TIME, NOT_RUN, UNLESS_STARVED, Price, Remedies, Tried
from lab.model.text import count, cut
from lab.report.story import WIDTH
from lab.scenario.declare import ISOLATION_LEVELS

__all__ = ["remedy_lines"]

WORDS = {
    "pass": "helps",
    UNLESS_STARVED: "helps, unless starved",
    "fail": "does not help",
    "inconclusive": "inconclusive",
    NO_TIME: NO_TIME,
    NOT_RUN: NOT_RUN,
}
PRICED = ("pass", UNLESS_STARVED, "inconclusive")
"""What does not help costs nothing that anybody would pay."""
LONGEST_NAME = 60
AS_IT_IS = "as it is"
OWN_LEVELS = "own levels"
"""The column of a scenario whose actors state levels of their own."""


def remedy_lines(remedies: Remedies) -> Iterator[str]:
    """The section of a report, without an empty line behind it."""
    if remedies.trouble:
        yield f"Remedies  none was run: {remedies.trouble}"
        return
    samples = f"{remedies.executions} executions of {remedies.scheduler}"
    yield f"Remedies  until one breaks or every trace was run, else up to {samples}"
    run = [each for each in remedies.tried if each.remedy is not None]
    yield from _grid(remedies, run)
    yield from _prices(remedies, run)
    for each in remedies.tried:
        yield from (cut(f"  {line}", WIDTH) for line in _words(each))


def _grid(remedies: Remedies, run: Iterable[Tried]) -> Iterator[str]:
    own = remedies.isolation or OWN_LEVELS
    cells = {(AS_IT_IS, own): f"{remedies.broken} of {remedies.unfixed.executions} break"}
    for each in run:
        assert each.remedy is not None
        cells[each.remedy.row or each.name, each.remedy.isolation or own] = WORDS[each.verdict]
    used = {level for _, level in cells}
    columns = [own, *(level for level in ISOLATION_LEVELS if level in used and level != own)]
    rows = list(dict.fromkeys(row for row, _ in cells))
    first = min(LONGEST_NAME, max(map(len, rows)))
    wide = [max(len(level), *(len(cells.get((row, level), "")) for row in rows)) for level in columns]
    for name, texts in (("", columns), *((row, [cells.get((row, level), "-") for level in columns]) for row in rows)):
        padded = "  ".join(f"{text:{width}}" for text, width in zip(texts, wide, strict=True))
        yield f"  {cut(name, LONGEST_NAME):{first}}  {padded}".rstrip()


def _prices(remedies: Remedies, run: Iterable[Tried]) -> Iterator[str]:
    priced = [(AS_IT_IS, remedies.unfixed, "")]
    for each in run:
        if each.price is not None and each.verdict in PRICED:
            extent = "every trace, " if each.complete else ""
            priced.append((each.name, each.price, f" · {extent}{count(each.price.executions, 'execution')}"))
    first = min(LONGEST_NAME, max(len(name) for name, *_ in priced))
    yield "Prices per execution"
    for name, price, extent in priced:
        yield f"  {cut(name, LONGEST_NAME):{first}}  {_price(price)}{extent}"


def _words(tried: Tried) -> Iterator[str]:
    """Why it has no better verdict, and what the verdict does not cover."""
    if tried.verdict == NOT_RUN:
        yield f"{NOT_RUN}: {tried.name}: {tried.reason}" if tried.reason else f"{NOT_RUN}: {tried.name}"
    elif tried.reason:
        yield f"{tried.name}: {tried.reason}"
    if tried.note:
        yield f"{tried.name}: {tried.note}"


def _price(price: Price) -> str:
    number = max(price.executions, 1)
    attempts = f", up to {price.attempts} attempts" if price.attempts > 1 else ""
    time = "" if price.times is None else f", time {price.times:.1f}x"
    return f"{_aborts(price.aborts, number)}, waits {price.lock_waits / number:.2f}{attempts}{time}"


def _aborts(aborts: Mapping[str, int], number: int) -> str:
    counted = f"aborts {sum(aborts.values()) / number:.2f}"
    if len(aborts) > 1:
        return f"{counted} ({', '.join(f'{state} {times / number:.2f}' for state, times in sorted(aborts.items()))})"
    return f"{counted} ({next(iter(aborts))})" if aborts else counted
