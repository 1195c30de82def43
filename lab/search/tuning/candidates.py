"""The schedulers that are compared: by name, with options, as `pct(depth=2)`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.errors import UsageError
from lab.schedulers import DEFAULT, SCHEDULERS, Scheduler, make_scheduler

__all__ = ["USUAL", "Candidate", "candidates"]

USUAL = "portfolio,random,urw,pos,pct(depth=2),pct(depth=3),pct(depth=4),directed,feedback,dpor,dfs"
"""Where none are named. The default comes first: among equals the first one is recommended."""
_ONE = re.compile(r"(?P<name>[\w-]+)(?:\((?P<options>[^()]*)\))?")
_OPTION = re.compile(r"\s*(?P<name>\w+)\s*=\s*(?P<value>\d+)\s*")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One scheduler with its options."""

    scheduler: str
    options: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the command line and reports have it."""
        inside = ", ".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.scheduler}({inside})" if inside else self.scheduler

    @property
    def by_chance(self) -> bool:
        """Whether seeds make a difference."""
        return SCHEDULERS[self.scheduler].by_chance

    @property
    def is_default(self) -> bool:
        """Whether it is what a hunt uses anyway."""
        return self.scheduler == DEFAULT and not self.options

    def made(self, seed: int) -> Scheduler:
        """The scheduler itself."""
        return make_scheduler(self.scheduler, seed, **self.options)


def candidates(text: str) -> tuple[Candidate, ...]:
    """Those that a list names, separated by commas. Raises `UsageError` for what cannot be made, or fewer than two."""
    found: dict[str, Candidate] = {}
    for each in re.split(r",(?![^()]*\))", text):
        match = _ONE.fullmatch(each.strip())
        if match is None:
            raise UsageError(f"{each.strip()!r} names no scheduler; write for example random,pct(depth=2),pos")
        candidate = Candidate(match["name"], _options(each, match["options"]))
        candidate.made(0)
        found.setdefault(candidate.name, candidate)
    if len(found) < 2:  # noqa: PLR2004 - one cannot be compared
        raise UsageError(f"one scheduler alone, {next(iter(found))!r}, cannot be compared; name two or more")
    return tuple(found.values())


def _options(each: str, text: str | None) -> dict[str, int]:
    options = {}
    for part in (text or "").split(",") if text else ():
        match = _OPTION.fullmatch(part)
        if match is None:
            raise UsageError(f"{each.strip()!r}: {part.strip()!r} is no option; write for example pct(depth=2)")
        options[match["name"]] = int(match["value"])
    return options
