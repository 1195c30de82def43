"""A history looked up by version: who wrote it, whether it was installed, what came next.

Made once for each history and shared by the checks of single reads and by the graph.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice, pairwise

from lab.model.history import INITIAL, History, Transaction, Version, Write

__all__ = ["Versions"]

MOST_NEXT = 20
"""Successors of one version that are reported."""


class Versions:
    """The versions of a history's items."""

    def __init__(self, history: History) -> None:
        self.transactions: dict[str, Transaction] = {each.id: each for each in history.transactions}
        self.writes: dict[tuple[str, Version], Write] = {}
        self.installed: dict[str, dict[str, Version]] = defaultdict(dict)
        """For each item, the last version of each committed transaction that wrote it, in the order of their ends."""
        for transaction in history.transactions:
            self._add(transaction)
        self.chains: dict[str, list[list[Version]]] = {
            item: [self._chain(item, chain) for chain in self._order(history, item)] for item in self.installed
        }
        self.cut = False
        """Whether some version had more successors than are reported."""
        self._next: dict[str, dict[Version, list[Version]]] = {}

    def _add(self, transaction: Transaction) -> None:
        numbers: dict[str, int] = defaultdict(int)
        for operation in transaction.operations:
            if isinstance(operation, Write):
                item = operation.item
                numbers[item] += 1
                version = Version(transaction.id, numbers[item])
                self.writes[item, version] = operation
                if transaction.committed and operation.undone is None:
                    self.installed[item][transaction.id] = version

    def _order(self, history: History, item: str) -> Iterable[Iterable[Version]]:
        given = history.orders.get(item)
        if given is None and len(self.installed[item]) == 1:
            return [self.installed[item].values()]
        return given or ()

    def _chain(self, item: str, given: Iterable[Version]) -> list[Version]:
        """A chain without versions that nobody may see, and with one version for each run of a transaction's own."""
        chain: list[Version] = []
        for version in given:
            if not self.transactions[version.writer].committed or self.writes[item, version].undone is not None:
                continue
            if chain and chain[-1].writer == version.writer:
                chain.pop()
            chain.append(version)
        return chain

    def next(self, item: str, version: Version) -> list[Version]:
        """The versions that are known to have replaced this one; several where the order is known in part only.

        Only the first few are returned; otherwise a key that all transactions read first and then wrote would have an
        edge for each pair of them. Leaving edges out claims nothing: such a key has no full order, and without one a
        history does not pass.
        """
        if item not in self._next:
            self._next[item] = self._successors(item)
        return self._next[item].get(version, [])

    def _successors(self, item: str) -> dict[Version, list[Version]]:
        successors: dict[Version, dict[Version, None]] = defaultdict(dict)
        later: set[Version] = set()
        for chain in self.chains.get(item, ()):
            for older, newer in pairwise(chain):
                successors[older][newer] = None
                later.add(newer)
        known = dict.fromkeys(version for chain in self.chains.get(item, ()) for version in chain)
        known.update(dict.fromkeys(self.installed.get(item, {}).values()))
        successors[INITIAL] = dict.fromkeys(version for version in known if version not in later)
        self.cut = self.cut or any(len(each) > MOST_NEXT for each in successors.values())
        return {version: list(islice(each, MOST_NEXT)) for version, each in successors.items()}

    def hidden(self, item: str, version: Version) -> bool:
        """Whether nobody else may see the version: its transaction aborted, or a savepoint's rollback undid it."""
        if version == INITIAL:
            return False
        return not self.transactions[version.writer].committed or self.writes[item, version].undone is not None

    def ordered(self, item: str) -> bool:
        """Whether the order of the item's installed versions is known in full."""
        installed = set(self.installed.get(item, {}).values())
        return len(installed) <= 1 or any(installed <= set(chain) for chain in self.chains[item])
