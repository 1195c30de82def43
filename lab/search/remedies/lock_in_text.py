"""Advice to lock what is read by statements that the lab does not change: SQL that is written as text, and views."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.analysis.facts import FOLDS, Facts
from lab.model.remedy import Tried
from lab.search.remedies.kind import CODE, Kind

__all__ = ["KIND"]

_READS = re.compile(r"\s*SELECT\b.*\bFROM\b", re.IGNORECASE | re.DOTALL)
_LOCKS = re.compile(r"\bFOR\s+(?:UPDATE|NO\s+KEY|SHARE|KEY\s+SHARE)\b", re.IGNORECASE)


def _advice(facts: Facts) -> Iterator[Tried]:
    reads = [text for text in facts.obscure if _READS.match(text) and not _LOCKS.search(text)]
    if not all(map(FOLDS.match, reads)):
        yield Tried("FOR UPDATE in SELECTs that the lab cannot change (text, a view)", reason=CODE)
    if any(map(FOLDS.match, reads)):
        yield Tried("FOR UPDATE on the rows that SELECTs add up which the lab cannot change, before them", reason=CODE)


KIND = Kind("lock in text", advises=_advice)
