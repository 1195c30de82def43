"""Advice to those whose work is spread over several transactions: do it in one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from lab.analysis.facts import Facts, Touch
from lab.model.footprint import Lock
from lab.model.remedy import Tried
from lab.search.remedies.kind import CODE, Kind, listed

__all__ = ["KIND"]

_LOCKED = ", the rows locked FOR UPDATE before they are checked"
_SERIALIZABLE = " at SERIALIZABLE"


def _advice(facts: Facts) -> Iterator[Tried]:
    apart = _check_apart(facts)
    if facts.anomaly is None and (split := listed(_written_in_several(facts) - apart.keys())):
        yield Tried(f"one transaction for all writes of {split}", reason=CODE)
    by_words: dict[str, set[str]] = defaultdict(set)
    for actor, words in apart.items():
        by_words[words].add(actor)
    for words, actors in sorted(by_words.items()):
        yield Tried(f"check and write of {listed(actors)} in one transaction{words}", reason=CODE)


def _written_in_several(facts: Facts) -> set[str]:
    """Actors that write in more than one transaction that they committed."""
    parts = {(each.actor, each.part) for each in facts.touches if each.access.writes} & facts.committed
    several = Counter(actor for actor, _ in parts)
    return {actor for actor, number in several.items() if number > 1}


def _check_apart(facts: Facts) -> dict[str, str]:
    """Actors that read a table in one transaction and write it in a later one, in which they did not read it.

    To each, what one transaction also needs: what is not locked can still change between check and write, and where
    rows are only inserted there is nothing to lock.
    """
    found: dict[str, str] = {}
    for write in facts.touches:
        mine = [each for each in facts.touches if (each.actor, each.table) == (write.actor, write.table)]
        checks = [each for each in mine if each.verb == "SELECT" and each.access.reads and each.part <= write.part]
        if write.access.writes and checks and all(each.part < write.part for each in checks):
            found[write.actor] = found.get(write.actor) or _besides(mine, checks)
    return found


def _besides(mine: list[Touch], checks: list[Touch]) -> str:
    if all(each.verb == "INSERT" for each in mine if each.access.writes):
        return _SERIALIZABLE
    return "" if any(each.access.lock >= Lock.NO_KEY_UPDATE for each in checks) else _LOCKED


KIND = Kind("one transaction", advises=_advice)
