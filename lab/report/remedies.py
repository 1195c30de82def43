"""What helps against a failure and what it costs, in a line each; then what was not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lab.model.remedy import NOT_RUN, Price, Remedies, Tried
from lab.model.text import cut
from lab.report.story import WIDTH

__all__ = ["remedy_lines"]

WORDS = {"pass": "helps", "fail": "does not help", "inconclusive": "inconclusive", NOT_RUN: NOT_RUN}
FIRST = max(map(len, WORDS.values()))
LONGEST_NAME = 60


def remedy_lines(remedies: Remedies) -> Iterator[str]:
    """The section of a report, without an empty line behind it."""
    if remedies.trouble:
        yield f"Remedies  none was run: {remedies.trouble}"
        return
    unfixed, run = remedies.unfixed, [each for each in remedies.tried if each.price is not None]
    each_of = f"up to {remedies.executions} executions of {remedies.scheduler} each"
    yield f"Remedies  {each_of}; prices per execution; retry loops of {remedies.attempts} attempts, no pause"
    second = min(LONGEST_NAME, max((len(each.name) for each in run), default=0))
    broken = f"{remedies.broken} of {unfixed.executions} break"
    yield f"  {'as it is':{FIRST}}  {broken:{second}}  {_price(unfixed)}"
    for each in remedies.tried:
        yield from _lines(each, second)


def _lines(tried: Tried, second: int) -> Iterator[str]:
    first = f"  {WORDS[tried.verdict]:{FIRST}}  "
    if tried.price is None:
        yield cut(f"{first}{tried.name}: {tried.reason}" if tried.reason else f"{first}{tried.name}", WIDTH)
        return
    times = tried.price.times
    time = "" if times is None else f", time {times:.1f}x"
    yield f"{first}{tried.name:{second}}  {_price(tried.price)}{time}"
    for more in (tried.reason, tried.note):
        if more:
            yield cut(f"  {'':{FIRST}}    {more}", WIDTH)


def _price(price: Price) -> str:
    number = max(price.executions, 1)
    return f"{_aborts(price.aborts, number)}, waits {price.lock_waits / number:.2f}"


def _aborts(aborts: Mapping[str, int], number: int) -> str:
    counted = f"aborts {sum(aborts.values()) / number:.2f}"
    if len(aborts) > 1:
        return f"{counted} ({', '.join(f'{state} {count / number:.2f}' for state, count in sorted(aborts.items()))})"
    return f"{counted} ({next(iter(aborts))})" if aborts else counted
