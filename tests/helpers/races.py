"""Pairs of requests that nobody sent, with texts that would be markup if they were not text."""

from __future__ import annotations

from dataclasses import replace

from lab.analysis.reported import ReportedFailure
from lab.search.races.findings import Raced, Same, Standing
from lab.search.races.pairs import Kind, Pair, Skipped
from lab.search.races.sent import Recording, Request

Report = tuple[list[Raced], list[Skipped], list[Recording]]
HOSTILE = (
    "<script>window.broken=1</script>",
    "\"><img/src=x/onerror='window.broken=1'>",
    "'onmouseover='window.broken=1",
    "{{7*7}}{%raw%}${7*7}`",
    "</script><!--]]></style>",
    "\u202etxt.exe\u2066\u2069\u200f",
    "javascript:window.broken=1",
)


def sent(path: str, number: int = 1) -> Request:
    """A request with a body that is hostile."""
    content = f'{{"name": "{HOSTILE[number % len(HOSTILE)]}"}}'.encode()
    test, url = "test_it.py::test_it[<b>]", f"http://shop{path}"
    return Request(test=test, number=number, method="POST", url=url, content=content, status=201)


def pair_of(path: str, other: str = "", kind: Kind = Kind.TWICE) -> Pair:
    """A request against itself, or against another one."""
    first = sent(path)
    return Pair(kind, first, sent(other, 2) if other else first)


def recordings_of(trouble: str) -> list[Recording]:
    """One that can be used, and one that cannot."""
    return [
        Recording("test_it.py::test_it", [sent("/1")]),
        Recording("test_it.py::test_no", trouble=trouble),
    ]


def report_of(failures: list[ReportedFailure]) -> Report:
    """Each failure as a race of one pair, one of them also of another pair; and every other standing."""
    raced = [
        Raced(pair_of(f"/{number}/{HOSTILE[number % len(HOSTILE)]}"), Standing.RACY, f"execution {number}", each, 0.125)
        for number, each in enumerate(failures, 1)
    ]
    if raced:
        first = raced[0]
        same = Same(first.line, first.pair.title)
        raced.append(replace(first, pair=pair_of("/same"), limits="as it was met", same=same, seconds=7.25))
        raced[0] = replace(first, accepted=f"a person looks {HOSTILE[0]}")
    for standing in (Standing.ABORTED, Standing.SAFE, Standing.UNKNOWN, Standing.NOT_TRIED):
        pair = pair_of(f"/{standing}", f"/other{HOSTILE[1]}", kind=Kind.AT_ONCE)
        raced.append(Raced(pair, standing, f"limits of {standing} {HOSTILE[2]}", seconds=1.5))
    skipped = [Skipped(pair_of(f"/left{number}"), f"both only read {HOSTILE[3]}") for number in range(3)]
    return raced, skipped, recordings_of(f"it failed {HOSTILE[4]}")
