"""The report on races: data in, lines out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from lab.model.text import count
from lab.search.races.findings import Raced, Standing
from lab.search.races.pairs import Skipped
from lab.search.races.sent import Recording

__all__ = ["races_data", "races_lines", "races_of"]

_PAIRS_SHOWN = 3
"""Of one race, or of one reason: the others are counted."""
_FORETELLS = "true, but hard to meet: the second request names an id that only the answer to the first tells"
_HEADINGS = {
    Standing.ABORTED: "Aborted: the server refused one of the two, and its client has to try again",
    Standing.SAFE: "Safe: some serial order gives the same rows and answers",
    Standing.UNKNOWN: "Inconclusive",
    Standing.NOT_TRIED: "Not tried",
}


def races_of(raced: Sequence[Raced]) -> dict[tuple[str, ...], list[Raced]]:
    """The races by what makes them the same, each with the pairs that show it."""
    found: dict[tuple[str, ...], list[Raced]] = {}
    for each in raced:
        if each.standing is Standing.RACY:
            found.setdefault(each.key, []).append(each)
    return found


def races_lines(
    raced: Sequence[Raced], skipped: Sequence[Skipped], recordings: Sequence[Recording], *, verbose: bool = False
) -> Iterator[str]:
    """The report for people."""
    races = races_of(raced)
    counted = Counter(each.standing for each in raced)
    requests = sum(len(each.sent) for each in recordings)
    kind = recordings[0].kind if recordings else "test"
    yield f"{count(len(recordings), kind)} sent {count(requests, 'request')}; {_summary(races, counted, skipped)}"
    for number, pairs in enumerate(races.values(), 1):
        yield ""
        yield from _race(number, pairs, verbose=verbose)
    for standing, heading in _HEADINGS.items():
        if of_this := [each for each in raced if each.standing is standing]:
            yield ""
            yield f"{heading}:"
            yield from (f"  {each.pair.title}  ({each.limits})" for each in of_this)
    if skipped:
        yield ""
        yield "Not raced:"
        for why, times in Counter(each.why for each in skipped).most_common():
            yield f"  {count(times, 'pair')}: {why}"
    troubles = [each for each in recordings if each.trouble]
    if troubles:
        yield ""
        yield "Tests that could not be used:"
        yield from (f"  {each.test}: {each.trouble}" for each in troubles)


def _summary(races: dict[Any, list[Raced]], counted: Counter[Standing], skipped: Sequence[Skipped]) -> str:
    racy = f"{count(len(races), 'race')} in {count(counted[Standing.RACY], 'pair')}" if races else "no race found"
    others = [
        f"{counted[standing]} {standing}"
        for standing in (Standing.ABORTED, Standing.SAFE, Standing.UNKNOWN, Standing.NOT_TRIED)
        if counted[standing]
    ]
    hopeless = [f"{len(skipped)} not raced"] if skipped else []
    return ", ".join([racy, *others, *hopeless])


def _race(number: int, pairs: Sequence[Raced], *, verbose: bool) -> Iterator[str]:
    first = pairs[0]
    cause = f": {first.cause}" if first.cause else ""
    line = f"  {first.line}" if first.line else ""
    accepted = f"  (accepted: {first.accepted})" if first.accepted else ""
    yield f"Race {number}  {first.anomaly}{cause}{line}{accepted}"
    if all(each.pair.foretells for each in pairs):
        yield f"  {_FORETELLS}"
    shown = pairs if verbose else pairs[:_PAIRS_SHOWN]
    for each in shown:
        yield f"  {each.pair.title}  ({each.pair.kind}, {each.pair.first.test})"
    if len(pairs) > len(shown):
        yield f"  and {count(len(pairs) - len(shown), 'more pair')}"
    if first.failure is not None and not first.accepted:
        yield ""
        yield from (f"    {line}".rstrip() for line in first.failure.report.splitlines())


def races_data(raced: Sequence[Raced], skipped: Sequence[Skipped], recordings: Sequence[Recording]) -> dict[str, Any]:
    """The report for programs."""
    return {
        "races": [_race_data(pairs) for pairs in races_of(raced).values()],
        "pairs": [_pair_data(each) for each in raced],
        "not_raced": [{**_of_pair(each.pair), "why": each.why} for each in skipped],
        "tests": [{"test": each.test, "requests": len(each.sent), "trouble": each.trouble} for each in recordings],
    }


def _race_data(pairs: Sequence[Raced]) -> dict[str, Any]:
    first = pairs[0]
    assert first.failure is not None
    return {
        "anomaly": first.anomaly,
        "cause": first.cause,
        "line": first.line,
        "accepted": first.accepted,
        "foretells": all(each.pair.foretells for each in pairs),
        "pairs": [_of_pair(each.pair) for each in pairs],
        "failure": first.failure.shown(),
    }


def _of_pair(pair: Any) -> dict[str, Any]:
    return {
        "test": pair.first.test,
        "kind": str(pair.kind),
        "requests": [pair.first.title, pair.second.title],
        "numbers": [pair.first.number, pair.second.number],
    }


def _pair_data(each: Raced) -> dict[str, Any]:
    return {
        **_of_pair(each.pair),
        "standing": str(each.standing),
        "limits": each.limits,
        "anomaly": each.anomaly,
        "cause": each.cause,
        "line": each.line,
        "seconds": round(each.seconds, 3),
    }
