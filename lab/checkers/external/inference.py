"""From an external history's values to versions and their order, and the judgement on it.

Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", VLDB 2020. Each value is
written once for each key, so a value that was read shows who wrote it.

- list-append: the longest list that was read is the order; every other read must be a beginning of it. What was
  appended and never read comes after it, in an order that nobody knows.
- rw-register: a transaction that read a value and then wrote, wrote after it; the initial value comes first; and the
  file may state an order.

Where an order stays open, what is found holds for every order. "No violation" needs more: one full order, made from a
topological order of what is known, under which nothing is violated. If that order has a violation, the result is
inconclusive.

Deviations: Elle can also infer orders from real time or from each session; a file that knows such an order states it.
A transaction of unknown end counts as committed if a committed one read what it wrote, otherwise as aborted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import networkx as nx

from lab.checkers.external.history_file import LIST_APPEND, Micro, Recorded, RecordedTransaction
from lab.checkers.isolation.anomalies import Anomaly, AnomalyName, Judgement, Observation
from lab.checkers.isolation.graph import EdgeKind, Graph, graph_of
from lab.checkers.isolation.judge import judge, judge_graph
from lab.checkers.isolation.version_index import Versions
from lab.errors import UsageError
from lab.model.history import INITIAL, History, Operation, Read, Status, Transaction, Version, Write

__all__ = ["Checked", "check_recorded", "infer"]

Chains = dict[str, tuple[tuple[Version, ...], ...]]


@dataclass(frozen=True, slots=True)
class Checked:
    """A judged external history.

    `open_keys` are those whose order is not known and may hide what a level promises to prevent. `serializable` is None
    when that depends on an order which is not known.
    """

    history: History
    judgement: Judgement
    serializable: bool | None
    open_keys: tuple[str, ...] = ()


def check_recorded(recorded: Recorded) -> Checked:
    """Judge the history of a file."""
    history, known = infer(recorded)
    versions = Versions(history)
    graph = graph_of(history, versions)
    judgement = judge_graph(history, versions, graph, known)
    open_keys = tuple(item for item in versions.installed if not versions.ordered(item))
    unread = recorded.model == LIST_APPEND and not versions.cut
    if judgement.broken_promises or not open_keys or (unread and judgement.serializable):
        # In a list, only the order of elements that nobody read is open; so they fit any serial order.
        return Checked(history, judgement, judgement.serializable)
    under_one_order = judge(_completed(history, versions, graph))
    serializable = None if judgement.serializable and not under_one_order.serializable else judgement.serializable
    return Checked(history, judgement, serializable, open_keys if under_one_order.broken_promises else ())


def infer(recorded: Recorded) -> tuple[History, list[Anomaly]]:
    """The history of row versions, and what cannot be said in one: reads that contradict each other."""
    writers = _writers(recorded)
    committed = _committed(recorded, writers)
    transactions = tuple(_transaction(each, recorded, writers, each.id in committed) for each in recorded.transactions)
    if recorded.model == LIST_APPEND:
        lists = _ListOrders(recorded, writers, committed)
        return History(transactions, lists.chains()), lists.contradictions
    return History(transactions, _register_orders(recorded, writers, transactions)), []


Writers = Mapping[str, Mapping[object, Version]]


def _writers(recorded: Recorded) -> Writers:
    """For each key, who wrote each value."""
    writers: dict[str, dict[object, Version]] = defaultdict(dict)
    for key in {micro.key for each in recorded.transactions for micro in each.operations}:
        if recorded.model != LIST_APPEND:
            writers[key][recorded.initial.get(key)] = INITIAL
    for each in recorded.transactions:
        numbers: dict[str, int] = defaultdict(int)
        for micro in each.operations:
            if micro.write:
                numbers[micro.key] += 1
                if micro.value in writers[micro.key]:
                    other = writers[micro.key][micro.value].writer or "the initial state"
                    raise UsageError(
                        f"{each.id} writes {micro.value!r} to {micro.key}, and so does {other}; "
                        "each value may be written once for each key"
                    )
                writers[micro.key][micro.value] = Version(each.id, numbers[micro.key])
    return writers


def _values(micro: Micro) -> list[object]:
    """The values that a read shows, the newest last."""
    return micro.value if isinstance(micro.value, list) else [micro.value]


def _committed(recorded: Recorded, writers: Writers) -> set[str]:
    """Ids of the transactions that count as committed. Raises if a read shows a value that nobody wrote."""
    committed = {each.id for each in recorded.transactions if each.status == "committed"}
    unknown = {each.id for each in recorded.transactions if each.status == "unknown"}
    reads = {each.id: _read_from(each, writers) for each in recorded.transactions}
    waiting = [each.id for each in recorded.transactions if each.id in committed]
    while waiting:
        seen = reads[waiting.pop()] & unknown
        unknown -= seen
        committed |= seen
        waiting += sorted(seen)
    return committed


def _read_from(each: RecordedTransaction, writers: Writers) -> set[str]:
    found: set[str] = set()
    for micro in each.operations:
        if not micro.write:
            known = writers[micro.key]
            for value in _values(micro):
                if value not in known:
                    raise UsageError(f"{each.id} reads {value!r} from {micro.key}, which no transaction wrote")
                found.add(known[value].writer)
    return found


def _transaction(each: RecordedTransaction, recorded: Recorded, writers: Writers, committed: bool) -> Transaction:  # noqa: FBT001
    operations: list[Operation] = []
    for step, micro in enumerate(each.operations, 1):
        if micro.write:
            operations.append(Write(micro.key, step, str(micro.value)))
            continue
        known = writers[micro.key]
        values = _values(micro)
        version = known[values[-1]] if values else INITIAL
        text = _text(micro.value) if recorded.model == LIST_APPEND else str(micro.value)
        operations.append(Read(micro.key, version, step, text))
    status = Status.COMMITTED if committed else Status.ABORTED
    return Transaction(each.id, tuple(operations), status, each.level, each.actor)


def _text(values: list[object]) -> str:
    """A list as its last elements; the earlier ones are seldom of interest."""
    shown = ", ".join(map(str, values[-3:]))
    return f"[{'…, ' if len(values) > 3 else ''}{shown}]"  # noqa: PLR2004


class _ListOrders:
    """The order of each list's elements, from what was read of it."""

    def __init__(self, recorded: Recorded, writers: Writers, committed: set[str]) -> None:
        self._writers = writers
        self._committed = committed
        self._longest: dict[str, list[object]] = {}
        self.contradictions: list[Anomaly] = []
        reads = [
            (each, step, micro)
            for each in recorded.transactions
            if each.id in committed
            for step, micro in enumerate(each.operations, 1)
            if not micro.write
        ]
        for _, _, micro in reads:
            if len(micro.value) > len(self._longest.get(micro.key, ())):
                self._longest[micro.key] = micro.value
        for each, step, micro in reads:
            self.contradictions.extend(self._contradiction(each, step, micro))

    def _contradiction(self, each: RecordedTransaction, step: int, micro: Micro) -> Iterator[Anomaly]:
        values, longest = micro.value, self._longest.get(micro.key, [])
        expected = ""
        if values != longest[: len(values)]:
            expected = f"a beginning of {_text(longest)}, which was read too"
        elif values is longest and len(set(values)) < len(values):
            expected = "each element once"
        hidden = next(
            (value for value in values if self._writers[micro.key][value].writer not in self._committed), None
        )
        if hidden is not None and hidden != values[-1]:
            version = self._writers[micro.key][hidden]
            yield self._anomaly(AnomalyName.G1A, each, step, micro, version, str(hidden), "a committed version")
        if expected:
            version = self._writers[micro.key][values[-1]]
            yield self._anomaly(AnomalyName.ORDER, each, step, micro, version, _text(values), expected)

    def _anomaly(
        self,
        name: AnomalyName,
        each: RecordedTransaction,
        step: int,
        micro: Micro,
        version: Version,
        text: str,
        expected: str,
    ) -> Anomaly:
        read = Read(micro.key, version, step, text)
        seen = Observation(each.id, micro.key, version, step, text, read, expected)
        return Anomaly.of_read(name, seen, Transaction(each.id, level=each.level))

    def chains(self) -> Chains:
        """The longest read, and after its last element each element that nobody read."""
        chains: Chains = {}
        for key, writers in self._writers.items():
            read = dict.fromkeys(self._longest.get(key, ()))
            order = tuple(writers[value] for value in read if writers[value].writer in self._committed)
            rest = {version.writer: version for value, version in writers.items() if value not in read}
            tail = [version for writer, version in rest.items() if writer in self._committed]
            if len(tail) == 1:
                chains[key] = ((*order, tail[0]),)
            else:
                chains[key] = (order, *((order[-1], version) for version in tail if order))
        return chains


def _register_orders(recorded: Recorded, writers: Writers, transactions: tuple[Transaction, ...]) -> Chains:
    chains: dict[str, list[tuple[Version, ...]]] = defaultdict(list)
    for key, order in recorded.orders.items():
        for value in order:
            if value not in writers.get(key, {}):
                raise UsageError(f'"orders" of {key} names {value!r}, which no transaction wrote')
        versions = tuple(writers[key][value] for value in order)
        if len(set(versions)) < len(versions) or INITIAL in versions:
            raise UsageError(f'"orders" of {key} must name each written value once, and not the initial one')
        chains[key].append(versions)
    for each in transactions:
        if each.committed:
            for key, chain in _after_its_read(each):
                chains[key].append(chain)
    return {key: tuple(several) for key, several in chains.items()}


def _after_its_read(transaction: Transaction) -> Iterator[tuple[str, tuple[Version, Version]]]:
    """For each key that it wrote after reading it: the version that it read last before, and its own last one."""
    read: dict[str, Version] = {}
    wrote: dict[str, int] = defaultdict(int)
    for operation in transaction.operations:
        if isinstance(operation, Write):
            wrote[operation.item] += 1
        elif isinstance(operation, Read) and not wrote[operation.item]:
            read[operation.item] = operation.version
    for key, number in wrote.items():
        if number and read.get(key, INITIAL) != INITIAL and read[key].writer != transaction.id:
            yield key, (read[key], Version(transaction.id, number))


def _completed(history: History, versions: Versions, graph: Graph) -> History:
    """The history with a full order of every item: that of one topological order of its transactions.

    Without its rw edges the graph has no cycle, since every level promises that.
    """
    place = {each.id: number for number, each in enumerate(history.transactions)}
    plain = nx.DiGraph({node: list(others) for node, others in graph.after.items()})
    if not nx.is_directed_acyclic_graph(plain):
        known = ((one, other) for one, other, edge in graph.edges() if edge.kind is not EdgeKind.RW)
        plain = nx.DiGraph()
        plain.add_nodes_from(graph)
        plain.add_edges_from(known)
    order = {node: number for number, node in enumerate(nx.lexicographical_topological_sort(plain, place.__getitem__))}
    full = {
        item: (tuple(sorted(installed.values(), key=lambda version: order[version.writer])),)
        for item, installed in versions.installed.items()
    }
    return replace(history, orders=full)
