"""Judges a history: which anomalies it holds, and whether the level promised to prevent them."""

from __future__ import annotations

import networkx as nx

from lab.checkers.anomalies import Anomaly, AnomalyName, Judgement, name_of, promised, strongest_first, vanishes
from lab.checkers.cycles import cycles_of
from lab.checkers.graph import Edge, graph_of
from lab.checkers.reads import wrong_reads
from lab.checkers.versions import Versions
from lab.history import History

__all__ = ["judge"]


def judge(history: History) -> Judgement:
    """The anomalies of a history, for each name and verdict one with the shortest cycle. Deterministic."""
    versions = Versions(history)
    graph = graph_of(history, versions)
    found: dict[tuple[AnomalyName, bool], Anomaly] = {}
    for anomaly in wrong_reads(history, versions):
        found.setdefault((anomaly.name, anomaly.promised), anomaly)
    for part in _parts(graph, versions):
        _add_cycles(part, versions, found)
    return Judgement(strongest_first(found.values()), graph.number_of_nodes(), graph.number_of_edges())


def _parts(graph: nx.MultiDiGraph, versions: Versions) -> list[nx.MultiDiGraph]:
    """The graph, and with mixed levels that of the serializable transactions, to whom more is promised together."""
    levels = {node: versions.transactions[node].level for node in graph}
    if len(set(levels.values())) < 2:  # noqa: PLR2004 - one level for all
        return [graph]
    part = nx.MultiDiGraph()
    part.add_nodes_from(node for node in graph if levels[node] == "SERIALIZABLE")
    part.add_edges_from(each for each in graph.edges(data=True) if each[0] in part and each[1] in part)
    return [graph, part]


def _add_cycles(graph: nx.MultiDiGraph, versions: Versions, found: dict[tuple[AnomalyName, bool], Anomaly]) -> None:
    transactions = versions.transactions

    def bucket(first: Edge, last: Edge) -> tuple[bool, bool]:
        return vanishes(first, last), promised(AnomalyName.G_SINGLE, (transactions[first.source].level,))

    for cycle in cycles_of(graph, bucket):
        name = name_of(cycle)
        key = name, promised(name, [transactions[edge.source].level for edge in cycle])
        if key not in found or len(cycle) < len(found[key].cycle):
            found[key] = Anomaly.of_cycle(cycle, transactions)
