"""Advice to those who pick rows with LIMIT and then take them off the queue: lock them where they are picked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.analysis.facts import Facts, Touch
from lab.model.remedy import Tried
from lab.search.remedies.kind import CODE, Kind, listed

__all__ = ["KIND"]

_NAME = r"(?:\"[^\"]+\"|[\w.])+"
_PICKS = re.compile(
    rf"\s*(?:WITH\b.*?\()?\s*(?:UPDATE|DELETE\s+FROM)\s+(?P<table>{_NAME})(?P<sets>.*?)\bWHERE\b.*?"
    rf"\(\s*SELECT\b(?P<inner>.*?\bFROM\s+(?P<source>{_NAME}).*\bLIMIT\b.*)\)",
    re.IGNORECASE | re.DOTALL,
)
"""An UPDATE or DELETE of rows that a subquery picks; not one that only sets a column to what a subquery finds."""
_SETS = re.compile(r"(?:\bSET|,)\s*\"?(\w+)\"?\s*=", re.IGNORECASE)
_WORD = re.compile(r"\w+")


def _advice(facts: Facts) -> Iterator[Tried]:
    picked = [found for text in facts.texts if (found := _PICKS.match(text))]
    if any(found["table"] == found["source"] and _takes(found["sets"], found["inner"]) for found in picked):
        yield Tried("FOR UPDATE SKIP LOCKED in the subquery with LIMIT", reason=CODE)
    if facts.anomaly in (None, "P4") and (tables := listed(_picked_before(facts))):
        yield Tried(f"FOR UPDATE SKIP LOCKED in the SELECT with LIMIT on {tables}", reason=CODE)


def _takes(change: str, pick: str) -> bool:
    """Whether a change takes a row off the queue: the pick asks for what it changes. A DELETE always does."""
    if "SKIP LOCKED" in pick.upper():
        return False
    asked = set(_WORD.findall(re.split(r"\bWHERE\b", pick, maxsplit=1, flags=re.IGNORECASE)[-1].lower()))
    sets = {each.lower() for each in _SETS.findall(change)}
    return not sets or bool(sets & asked)


def _picked_before(facts: Facts) -> set[str]:
    """Tables of which an actor picks rows without a lock and takes them off the queue in the same transaction."""
    picks = [each for each in facts.touches if each.is_plain_read and not each.folds and " LIMIT " in _flat(each)]
    return {pick.table for pick in picks for each in facts.touches if _takes_off(each, pick)}


def _takes_off(each: Touch, pick: Touch) -> bool:
    mine = (each.actor, each.part, each.table) == (pick.actor, pick.part, pick.table)
    changes = each.verb == "DELETE" or (each.verb == "UPDATE" and " SET " in _flat(each))
    change = _flat(each).partition(" WHERE ")[0]
    return mine and changes and " WHERE " in _flat(pick) and _takes(change, _flat(pick))


def _flat(each: Touch) -> str:
    return " ".join(each.text.split())


KIND = Kind("skip locked", advises=_advice)
