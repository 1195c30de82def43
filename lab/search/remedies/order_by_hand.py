"""Advice to take locks in one order, where the lab cannot do it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.remedy import Tried
from lab.search.remedies.kind import CODE, Kind

__all__ = ["KIND"]

_ADVISORY = re.compile(r"\bpg_advisory_", re.IGNORECASE)


def _advice(facts: Facts) -> Iterator[Tried]:
    if any(map(_ADVISORY.search, facts.texts)):
        yield Tried("advisory locks taken in the order of their keys", reason=CODE)
    elif facts.deadlocked and facts.rows_to_lock is None:
        yield Tried("all rows locked in one order", reason="the lab does not know which rows the statements lock")


KIND = Kind("order by hand", advises=_advice)
