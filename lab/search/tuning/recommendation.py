"""What comparisons advise: a scheduler for each scenario, turns of the portfolio over all, and the lines for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

from lab.analysis.advised import Advice
from lab.analysis.searches import Searches
from lab.analysis.standings import Standings
from lab.analysis.weights import weights
from lab.schedulers import SCHEDULERS
from lab.schedulers.portfolio import SAMPLERS

__all__ = ["recommended"]


def recommended(compared: Sequence[Standings], targets: Sequence[str]) -> Advice:
    """The advice of comparisons. `targets` are what the user asked for."""
    judged = tuple(each.judged() for each in compared if each.able)
    lines = tuple(
        _line(each.standings.target, each.first.scheduler, each.first.options)
        for each in judged
        if each.first is not None and not each.first.is_default
    )
    turns = weights([_met(each) for each in compared if each.found], tuple(SAMPLERS))
    scopes = _scopes([each.target for each in compared], targets)
    turns_lines = () if turns is None else tuple(_line(scope, "portfolio", turns.turns) for scope in scopes)
    return Advice(judged, lines, turns, turns_lines)


def _met(standings: Standings) -> Mapping[str, tuple[int, int]]:
    """What each of the portfolio's samplers met, as far as it was run."""
    return {
        name: (each.met_by_samples, each.samples)
        for each in standings.able
        for name in SAMPLERS
        if _is_sampler(each, name)
    }


def _is_sampler(each: Searches, name: str) -> bool:
    defaults = {option.name: option.default for option in SCHEDULERS[name].options}
    return each.scheduler == name and all(defaults.get(key) == value for key, value in each.options.items())


def _scopes(compared: Sequence[str], targets: Sequence[str]) -> tuple[str, ...]:
    """What the scenarios are called together: by what was asked for, or the package or module that all are in."""
    if len(compared) == 1:
        return (compared[0],)
    if len(targets) == 1:
        return tuple(targets)
    packages = [each.partition(":")[0].split(".") for each in compared]
    common = [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, zip(*packages, strict=False))]
    return (".".join(common),) if common else tuple(compared)


def _line(scope: str, scheduler: str, options: Mapping[str, int]) -> str:
    """One line of TOML below `[tool.lab]`."""
    inside = ", ".join(f"{name} = {value}" for name, value in options.items())
    return f'tuned."{scope}" = {{scheduler = "{scheduler}"{f", options = {{{inside}}}" if inside else ""}}}'
