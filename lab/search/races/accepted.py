"""Races that a team knows and accepts, in a file beside its tests: they are reported, and fail no run.

    [[accepted]]
    requests = ["POST /orders/{}/pay", "POST /orders/{}/cancel"]
    line = "shop/services/orders.py"
    reason = "a person looks at these once a day"

`requests` are the two of a pair, `{}` for a part of a path that may be anything; `line` is the file of the race, or
file and line. One of the two is enough. `reason` says why.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.errors import UsageError
from lab.search.races.findings import Raced

__all__ = ["FILE", "Accepted", "accepted_in", "marked"]

FILE = "lab-races.toml"
_TWO = 2
_KEYS = {"requests", "line", "reason"}


@dataclass(frozen=True, slots=True)
class Accepted:
    """An entry of the file."""

    reason: str
    requests: tuple[str, ...] = ()
    line: str = ""

    def covers(self, raced: Raced) -> bool:
        """Whether it is about this pair."""
        if self.requests:
            titles = {raced.pair.first.title, raced.pair.second.title}
            patterns = [_pattern(each) for each in self.requests]
            if not all(any(each.fullmatch(title) for each in patterns) for title in titles):
                return False
            if not all(any(each.fullmatch(title) for title in titles) for each in patterns):
                return False
        return not self.line or raced.line == self.line or raced.line.rpartition(":")[0] == self.line


def _pattern(request: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(map(re.escape, request.split("{}"))))


def accepted_in(folder: Path) -> tuple[Accepted, ...]:
    """The entries of the file in a folder; none where there is no file. Raises `UsageError` for a wrong one."""
    path = folder / FILE
    if not path.exists():
        return ()
    try:
        data = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from None
    entries = data.get("accepted")
    if not isinstance(entries, list) or data.keys() != {"accepted"}:
        raise UsageError(f"{path}: it has tables [[accepted]], and nothing else")
    return tuple(_entry(path, number, each) for number, each in enumerate(entries, 1))


def _entry(path: Path, number: int, entry: object) -> Accepted:
    where = f"{path}: [[accepted]] number {number}"
    if not isinstance(entry, dict) or (unknown := entry.keys() - _KEYS):
        raise UsageError(f"{where} has {', '.join(sorted(unknown))}; known are {', '.join(sorted(_KEYS))}")
    requests, line, reason = entry.get("requests", []), entry.get("line", ""), entry.get("reason", "")
    if not isinstance(reason, str) or not reason.strip():
        raise UsageError(f"{where} has no reason: say in a sentence why this race may stay")
    if not isinstance(requests, list) or not all(isinstance(each, str) for each in requests) or len(requests) > _TWO:
        raise UsageError(f'{where}: requests are one or two texts like "POST /orders/{{}}/pay"')
    if not isinstance(line, str) or not (requests or line):
        raise UsageError(f"{where} names neither requests nor a line")
    return Accepted(reason, tuple(requests), line)


def marked(raced: Sequence[Raced], accepted: Sequence[Accepted]) -> list[Raced]:
    """The pairs, those that are accepted with the reason."""

    def reason(each: Raced) -> str:
        return next((one.reason for one in accepted if one.covers(each)), "")

    return [replace(each, accepted=reason(each)) if each.failure is not None else each for each in raced]
