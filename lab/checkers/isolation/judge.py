"""Judges a history: which anomalies it holds, and whether the level promised to prevent them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lab.checkers.isolation.anomalies import Anomaly, AnomalyName, Judgement, strongest_first, vanishes, verdict_on
from lab.checkers.isolation.cycles import cycles_of
from lab.checkers.isolation.graph import Edge, EdgeKind, Graph, graph_of
from lab.checkers.isolation.reads import wrong_reads
from lab.checkers.isolation.version_index import Versions
from lab.model.history import History

__all__ = ["judge", "judge_graph"]


def judge(history: History, known: Iterable[Anomaly] = ()) -> Judgement:
    """The anomalies of a history, for each name and verdict one with the shortest cycle. Deterministic.

    `known` are anomalies that were met while the history was made.
    """
    versions = Versions(history)
    return judge_graph(history, versions, graph_of(history, versions), known)


def judge_graph(history: History, versions: Versions, graph: Graph, known: Iterable[Anomaly] = ()) -> Judgement:
    """The same, of a history whose graph has been made."""
    found: dict[tuple[AnomalyName, bool], Anomaly] = {}
    for anomaly in (*known, *wrong_reads(history, versions)):
        found.setdefault((anomaly.name, anomaly.promised), anomaly)
    for part in _parts(graph, versions):
        _add_cycles(part, versions, found)
    return Judgement(strongest_first(found.values()), len(graph), sum(1 for _ in graph.edges()))


def _parts(graph: Graph, versions: Versions) -> list[Graph]:
    """The graph, and with mixed levels those of what more is promised to.

    That is the serializable transactions among themselves; and all of them, without what was read too early by those
    that have no snapshot.
    """
    levels = {node: versions.transactions[node].level for node in graph}
    if len(set(levels.values())) < 2:  # noqa: PLR2004 - one level for all
        return [graph]
    serializable = _part(graph, lambda edge: levels[edge.source] == levels[edge.target] == "SERIALIZABLE")
    early = _part(graph, lambda edge: edge.kind is not EdgeKind.RW or levels[edge.source] != "READ COMMITTED")
    return [graph, serializable, early] if "READ COMMITTED" in levels.values() else [graph, serializable]


def _part(graph: Graph, keep: Callable[[Edge], bool]) -> Graph:
    part = Graph(graph)
    for source, target, edge in graph.edges():
        if keep(edge):
            part.add(source, target, edge)
    return part


def _add_cycles(graph: Graph, versions: Versions, found: dict[tuple[AnomalyName, bool], Anomaly]) -> None:
    transactions = versions.transactions

    def bucket(first: Edge, last: Edge) -> tuple[bool, bool]:
        return vanishes(first, last), transactions[first.source].level == "READ COMMITTED"

    for cycle in cycles_of(graph, bucket):
        key = verdict_on(cycle, transactions)
        if key not in found or len(cycle) < len(found[key].cycle):
            found[key] = Anomaly.of_cycle(cycle, transactions)
