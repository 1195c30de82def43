"""A retry loop around each actor: an actor that the server refused begins again."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.facts import FOREIGN, UNIQUE, Facts
from lab.model.remedy import Remedy
from lab.search.remedies.kind import ATTEMPTS, Kind, listed

__all__ = ["KIND"]


def _loop(facts: Facts) -> Iterator[Remedy]:
    yield Remedy("a retry loop alone", attempts=ATTEMPTS, row="a retry loop")
    if caught := facts.errors & {UNIQUE, FOREIGN}:
        name = f"a retry loop that also catches {listed(caught)}"
        yield Remedy(name, attempts=ATTEMPTS, catches=frozenset(caught))


KIND = Kind("retry", _loop)
