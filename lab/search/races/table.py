"""The report on races: data in, lines out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from lab.errors import printable
from lab.model.text import count
from lab.search.races.findings import Raced, Standing
from lab.search.races.pairs import Skipped
from lab.search.races.sent import Recording

__all__ = ["MEANINGS", "assumptions", "races_data", "races_lines", "races_of"]

_PAIRS_SHOWN = 3
"""Of one race, or of one reason: the others are counted."""
_TESTS_SHOWN = 5
"""That could not be used for one reason."""
_FORETELLS = "true, but hard to meet: the second names an id that only the answer to the first tells"
_MINIMISED_ONCE = "minimised for one pair: the others show the same line, and are as they were met"
MEANINGS = {
    Standing.RACY: "no serial order gives the same rows and answers, or one fails or deadlocks only when they overlap",
    Standing.ABORTED: "the server refused one of the two, and its client has to try again",
    Standing.SAFE: "some serial order gives the same rows and answers",
    Standing.UNKNOWN: "nothing was found, and what was run says too little",
    Standing.NOT_TRIED: "nothing was run, or nothing that says anything",
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
    yield _summary(raced, skipped, recordings)
    for number, pairs in enumerate(races.values(), 1):
        yield ""
        yield from _race(number, pairs, verbose=verbose)
    for standing, meaning in MEANINGS.items():
        of_this = [each for each in raced if each.standing is standing]
        if of_this and standing is not Standing.RACY:
            yield ""
            yield f"{standing.capitalize()}: {meaning}"
            yield from (f"  {each.pair.title}  ({each.limits})" for each in of_this)
    if skipped:
        yield ""
        yield "Not raced:"
        for why, times in Counter(each.why for each in skipped).most_common():
            yield f"  {count(times, 'pair')}: {why}"
    if assumed := assumptions(recordings):
        yield ""
        yield "Assumed:"
        yield from (f"  {each}" for each in assumed)
    yield from _unusable(recordings, verbose=verbose)


def assumptions(recordings: Sequence[Recording]) -> list[str]:
    """What was taken for granted of calls, as sentences."""
    return list(
        dict.fromkeys(filter(None, (each.assumes for one in recordings for each in one.sent if not each.trouble)))
    )


def _unusable(recordings: Sequence[Recording], *, verbose: bool) -> Iterator[str]:
    """The tests of which nothing was raced: many that have one reason are counted."""
    by_reason: dict[str, list[str]] = {}
    for each in recordings:
        if each.unusable:
            by_reason.setdefault(each.unusable, []).append(each.test)
    if by_reason:
        yield ""
        yield "Tests that could not be used:"
    for why, tests in by_reason.items():
        if verbose or len(tests) <= _TESTS_SHOWN:
            yield from (f"  {each}: {why}" for each in tests)
        else:
            yield f"  {count(len(tests), 'test')} (-v names them): {why}"


def _asked(recordings: Sequence[Recording]) -> str:
    """How much was recorded."""
    kind = recordings[0].kind if recordings else "test"
    all_sent = [each for recording in recordings for each in recording.sent]
    calls = sum(each.DONE == "called" for each in all_sent)
    by, requests, made = count(len(recordings), kind), count(len(all_sent) - calls, "request"), count(calls, "call")
    if calls == len(all_sent) != 0:
        return f"{by} made {made}"
    return f"{by} sent {requests}" + (f" and made {made}" if calls else "")


def _summary(raced: Sequence[Raced], skipped: Sequence[Skipped], recordings: Sequence[Recording]) -> str:
    """The report in one line."""
    races, counted = races_of(raced), Counter(each.standing for each in raced)
    sent = _asked(recordings)
    racy = f"{count(len(races), 'race')} in {count(counted[Standing.RACY], 'pair')}" if races else "no race found"
    others = [
        f"{counted[standing]} {standing}"
        for standing in (Standing.ABORTED, Standing.SAFE, Standing.UNKNOWN, Standing.NOT_TRIED)
        if counted[standing]
    ]
    hopeless = [f"{len(skipped)} not raced"] if skipped else []
    return f"{sent}; {', '.join([racy, *others, *hopeless])}"


def _race(number: int, pairs: Sequence[Raced], *, verbose: bool) -> Iterator[str]:
    first = pairs[0]
    cause = f": {first.cause}" if first.cause else ""
    line = f"  {first.line}" if first.line else ""
    accepted = f"  (accepted: {first.accepted})" if first.accepted else ""
    yield f"Race {number}  {first.anomaly}{cause}{line}{accepted}"
    yield from (f"  {each}" for each in _notes(pairs))
    shown = pairs if verbose else pairs[:_PAIRS_SHOWN]
    for each in shown:
        yield f"  {each.pair.title}  ({each.pair.why}, {each.pair.first.test})"
    if len(pairs) > len(shown):
        yield f"  and {count(len(pairs) - len(shown), 'more pair')}"
    for one in first.pair.sent:
        if one.body:
            yield f"  {one.title} {one.GIVEN} {printable(one.body)}"
    if first.failure is not None and not first.accepted:
        yield ""
        yield from (f"    {line}".rstrip() for line in first.failure.report.splitlines())


def _notes(pairs: Sequence[Raced]) -> list[str]:
    """What else is to be known of a race, as sentences."""
    foretells = [_FORETELLS] if all(each.pair.foretells for each in pairs) else []
    return [*foretells, *([_MINIMISED_ONCE] if any(each.same for each in pairs) else [])]


def races_data(raced: Sequence[Raced], skipped: Sequence[Skipped], recordings: Sequence[Recording]) -> dict[str, Any]:
    """The report for programs."""
    races = races_of(raced)
    numbers = {key: number for number, key in enumerate(races, 1)}
    return {
        "summary": _summary(raced, skipped, recordings),
        "races": [_race_data(pairs) for pairs in races.values()],
        "pairs": [{**_pair_data(each), "race": numbers.get(each.key, 0)} for each in raced],
        "not_raced": [{**_of_pair(each.pair), "why": each.why} for each in skipped],
        "tests": [{"test": each.test, "requests": len(each.sent), "trouble": each.unusable} for each in recordings],
        "assumed": assumptions(recordings),
    }


def _race_data(pairs: Sequence[Raced]) -> dict[str, Any]:
    first = pairs[0]
    assert first.failure is not None
    return {
        "anomaly": first.anomaly,
        "cause": first.cause,
        "line": first.line,
        "accepted": first.accepted,
        "notes": _notes(pairs),
        "foretells": all(each.pair.foretells for each in pairs),
        "pairs": [_of_pair(each.pair) for each in pairs],
        "sent": _sent_data(first.pair),
        "failure": first.failure.shown(),
    }


def _of_pair(pair: Any) -> dict[str, Any]:
    return {
        "title": pair.title,
        "test": pair.first.test,
        "kind": pair.why,
        "requests": [pair.first.title, pair.second.title],
        "numbers": [pair.first.number, pair.second.number],
    }


def _sent_data(pair: Any) -> list[dict[str, Any]]:
    """What the two of a pair sent, with what was answered in the test; once where they are one."""
    return [
        {"title": each.title, "given": each.GIVEN, "body": each.body, "answered": each.answered} for each in pair.sent
    ]


def _pair_data(each: Raced) -> dict[str, Any]:
    return {
        **_of_pair(each.pair),
        "standing": str(each.standing),
        "limits": each.limits,
        "anomaly": each.anomaly,
        "cause": each.cause,
        "line": each.line,
        "accepted": each.accepted,
        "seconds": round(each.seconds, 3),
    }
