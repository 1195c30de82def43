"""Advice to those who pick rows by a subquery with LIMIT and then change them: lock them where they are picked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.remedy import Tried
from lab.search.remedies.kind import CODE, Kind

__all__ = ["KIND"]

_PICKS = re.compile(
    r"\s*(?:WITH\b.*?\()?\s*(?:UPDATE|DELETE)\b.*\(\s*SELECT\b(?P<inner>.*\bLIMIT\b.*)\)", re.IGNORECASE | re.DOTALL
)


def _advice(facts: Facts) -> Iterator[Tried]:
    picked = (found["inner"].upper() for text in facts.texts if (found := _PICKS.match(text)))
    if any("SKIP LOCKED" not in inner for inner in picked):
        yield Tried("FOR UPDATE SKIP LOCKED in the subquery with LIMIT", reason=CODE)


KIND = Kind("skip locked", advises=_advice)
