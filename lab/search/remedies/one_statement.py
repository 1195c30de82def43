"""Advice to those who only read, in several statements, what others write meanwhile: read it in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.remedy import Tried
from lab.search.remedies.kind import CODE, Kind, listed

__all__ = ["KIND"]


def _advice(facts: Facts) -> Iterator[Tried]:
    if facts.anomaly in (None, "PMP", "G-single") and (readers := listed(_read_piecemeal(facts))):
        yield Tried(f"all reads of {readers} in one statement", reason=CODE)


def _read_piecemeal(facts: Facts) -> set[str]:
    """Actors that write nothing and read what others write in more than one statement of a transaction.

    Not those that come back for more in another transaction: who polls is to see later rows.
    """
    reads = [each for each in facts.touches if each.is_plain_read and each.table in facts.lock_reads]
    pieces = Counter((each.actor, each.part) for each in reads)
    return {actor for (actor, _), number in pieces.items() if actor not in facts.writers and number > 1}


KIND = Kind("one statement", advises=_advice)
