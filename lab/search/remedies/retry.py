"""A retry loop around each actor: an actor that the server refused begins again."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.remedy import Remedy
from lab.search.remedies.kind import ATTEMPTS, Kind

__all__ = ["KIND"]


def _loop(facts: Facts) -> Iterator[Remedy]:
    yield Remedy("a retry loop alone", row="a retry loop", attempts=ATTEMPTS)


KIND = Kind("retry", _loop)
