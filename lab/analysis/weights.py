"""The turns of a portfolio's samplers, by how likely each is to meet the violation of one or more scenarios.

With turns in proportion to weights w, an execution meets the violation of scenario s with chance Σ wᵢ p(s, i) / Σ w.
The weights are those for which the worst scenario suffers least beside the sampler that is best for it, and among equal
ones those that are better on average. Each sampler keeps one turn at least: another violation may need it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, fsum, log

__all__ = ["TURNS", "Weights", "weights"]

TURNS = 11
"""Turns together: as many as the portfolio has where nobody says otherwise."""

Tries = tuple[int, int]
"""How often the violation was met by independent samples, and how many there were."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The turns of each sampler by its name, and the price: the most times the executions of a best sampler."""

    turns: Mapping[str, int]
    worst: float


def weights(seen: Sequence[Mapping[str, Tries]], samplers: Sequence[str]) -> Weights | None:
    """The best turns for scenarios, of each of which it is known what every sampler met. None if nothing was met."""
    chances = [_chances(each, samplers) for each in seen if _is_known(each, samplers)]
    if not chances:
        return None
    best = min(_compositions(len(samplers), TURNS), key=lambda turns: (_prices(turns, chances), turns))
    return Weights(dict(zip(samplers, best, strict=True)), _prices(best, chances)[0])


def _is_known(seen: Mapping[str, Tries], samplers: Sequence[str]) -> bool:
    return all(name in seen and seen[name][1] for name in samplers) and any(seen[name][0] for name in samplers)


def _chances(seen: Mapping[str, Tries], samplers: Sequence[str]) -> list[float]:
    """Half a violation more and one try more: a sampler that met none is unlikely to, not unable."""
    return [(seen[name][0] + 0.5) / (seen[name][1] + 1) for name in samplers]


def _prices(turns: Sequence[int], chances: Sequence[Sequence[float]]) -> tuple[float, float]:
    """How many times as many executions as the best sampler alone: in the worst scenario, and the geometric mean."""
    prices = [
        max(own) * sum(turns) / fsum(turn * chance for turn, chance in zip(turns, own, strict=True)) for own in chances
    ]
    return round(max(prices), 6), exp(fsum(map(log, prices)) / len(prices))


def _compositions(parts: int, total: int) -> Iterator[tuple[int, ...]]:
    """Every way to share this total among so many, one at least for each."""
    if parts == 1:
        yield (total,)
        return
    for first in range(1, total - parts + 2):
        for rest in _compositions(parts - 1, total - first):
            yield (first, *rest)
