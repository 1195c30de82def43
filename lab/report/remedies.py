"""What helps against a failure: a grid of remedies and levels, what each costs, why others have no better verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lab.model.remedy import Price, Remedies
from lab.model.text import count, cut
from lab.report.grid import Grid, grid
from lab.report.story import WIDTH

__all__ = ["price_text", "remedy_lines"]

LONGEST_NAME = 60


def remedy_lines(remedies: Remedies) -> Iterator[str]:
    """The section of a report, without an empty line behind it."""
    if remedies.trouble:
        yield f"Remedies  none was run: {remedies.trouble}"
        return
    samples = f"{remedies.executions} executions of {remedies.scheduler}"
    yield f"Remedies  until one breaks or every trace was run, else up to {samples}"
    made = grid(remedies)
    yield from _grid(made)
    yield from _prices(made)
    yield from (cut(f"  {line}", WIDTH) for line in made.words)


def _grid(made: Grid) -> Iterator[str]:
    first = min(LONGEST_NAME, max(len(name) for name, _ in made.rows))
    wide = [max(len(level), *(len(cells[at].text) for _, cells in made.rows)) for at, level in enumerate(made.levels)]
    for name, texts in (("", made.levels), *((row, [each.text for each in cells]) for row, cells in made.rows)):
        padded = "  ".join(f"{text:{width}}" for text, width in zip(texts, wide, strict=True))
        yield f"  {cut(name, LONGEST_NAME):{first}}  {padded}".rstrip()


def _prices(made: Grid) -> Iterator[str]:
    first = min(LONGEST_NAME, max(len(each.name) for each in made.prices))
    yield "Prices per execution"
    for each in made.prices:
        extent = "every trace, " if each.complete else ""
        counted = f" · {extent}{count(each.price.executions, 'execution')}" if each.counted else ""
        yield f"  {cut(each.name, LONGEST_NAME):{first}}  {price_text(each.price)}{counted}"


def price_text(price: Price) -> str:
    """For example "aborts 0.40 (40001), waits 0.00, time 1.2x"."""
    number = max(price.executions, 1)
    attempts = f", up to {price.attempts} attempts" if price.attempts > 1 else ""
    time = "" if price.times is None else f", time {price.times:.1f}x"
    return f"{_aborts(price.aborts, number)}, waits {price.lock_waits / number:.2f}{attempts}{time}"


def _aborts(aborts: Mapping[str, int], number: int) -> str:
    counted = f"aborts {sum(aborts.values()) / number:.2f}"
    if len(aborts) > 1:
        return f"{counted} ({', '.join(f'{state} {times / number:.2f}' for state, times in sorted(aborts.items()))})"
    return f"{counted} ({next(iter(aborts))})" if aborts else counted
