"""Reads that are wrong by themselves, without a cycle: G1a, G1b and internal inconsistency.

G1a and G1b are Adya's (section 3.2). Internal consistency is Elle's word (section 6.1): a transaction sees its own
writes, and at a level with one snapshot it sees one version of an item until it writes it.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.isolation.anomalies import Anomaly, AnomalyName, Observation
from lab.checkers.isolation.version_index import Versions
from lab.model.history import INITIAL, History, PredicateRead, Read, Transaction, Version, Write

__all__ = ["wrong_reads"]

_ONE_SNAPSHOT = frozenset({"REPEATABLE READ", "SERIALIZABLE"})


def wrong_reads(history: History, versions: Versions) -> Iterator[Anomaly]:
    """Every wrong read of a committed transaction, in the history's order."""
    for transaction in history.committed:
        yield from _of(transaction, versions)


def _of(transaction: Transaction, versions: Versions) -> Iterator[Anomaly]:
    own: dict[str, list[tuple[Version, Write]]] = {}
    before: dict[str, Version] = {}
    for operation in transaction.operations:
        if isinstance(operation, Write):
            made = own.setdefault(operation.item, [])
            made.append((Version(transaction.id, len(made) + 1), operation))
            continue
        for item, version in _looked_at(operation):
            latest = _latest(own[item], operation.step) if item in own else None
            if latest is None and version == INITIAL and isinstance(operation, PredicateRead):
                continue  # nothing is wrong with it, and a predicate looks at many of them
            name, expected = _fault(transaction, item, version, latest, versions)
            if not name and latest is None and isinstance(operation, Read):
                known = before.setdefault(item, version)
                if known != version and transaction.level in _ONE_SNAPSHOT:
                    name, expected = AnomalyName.INTERNAL, "the version that it had read before"
            if name:
                text = operation.text if isinstance(operation, Read) else ""
                text = text or (versions.writes[item, version].text if version != INITIAL else "")
                seen = Observation(transaction.id, item, version, operation.step, text, operation, expected)
                yield Anomaly.of_read(name, seen, transaction)


def _looked_at(operation: Read | PredicateRead) -> tuple[tuple[str, Version], ...]:
    if isinstance(operation, Read):
        return ((operation.item, operation.version),)
    return operation.seen


def _latest(own: list[tuple[Version, Write]], step: int) -> Version | None:
    """The transaction's own version that stands at a step: the last one that was not undone by then."""
    standing = [version for version, write in own if write.undone is None or write.undone > step]
    return standing[-1] if standing else None


def _fault(
    reader: Transaction, item: str, version: Version, latest: Version | None, versions: Versions
) -> tuple[AnomalyName | None, str]:
    """What is wrong with reading this version, and what was to be expected instead."""
    if latest is not None and version != latest:
        return AnomalyName.INTERNAL, "what it had written itself"
    if version.writer == reader.id and latest is None:
        return AnomalyName.INTERNAL, "a version that somebody else had committed"
    if version == INITIAL or version.writer == reader.id:
        return None, ""
    if versions.hidden(item, version):
        return AnomalyName.G1A, "a committed version"
    if versions.installed[item][version.writer] != version:
        return AnomalyName.G1B, "the last version that its writer made"
    return None, ""
