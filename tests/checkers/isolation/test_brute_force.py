"""The checker against brute force: on every generated history both say the same.

In the suite a sample. The full promise, 5,000 histories, is the same test:

    LAB_QUALITY_HISTORIES=5000 pytest tests/checkers/isolation/test_brute_force.py
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from itertools import product

import networkx as nx
from helpers.generated import histories, serializable
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from lab.checkers.isolation.anomalies import Anomaly, AnomalyName
from lab.checkers.isolation.graph import EdgeKind, graph_of
from lab.checkers.isolation.judge import judge
from lab.checkers.isolation.version_index import Versions
from lab.model.history import History, Operation, PredicateRead
from lab.scenario.declare import ISOLATION_LEVELS

HISTORIES = int(os.environ.get("LAB_QUALITY_HISTORIES", "300"))


def test_checker_and_brute_force_agree_on_whether_a_history_is_serializable():
    """And both answers are frequent among the histories, so that agreement means something.

    A predicate read that tells only of the rows that matched may hide a violation, but never makes one up.
    """
    said: Counter[bool] = Counter()

    @seed(1)
    @settings(max_examples=HISTORIES, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(histories())
    def agree(history):
        expected = serializable(history)
        said[expected] += 1
        assert judge(history).serializable is expected
        assert judge(without_unmatched_rows(history)).serializable or not expected

    agree()
    assert sum(said.values()) >= HISTORIES * 0.9  # Hypothesis ends early only when it has seen all there is
    assert min(said.values()) > sum(said.values()) / 5


def without_unmatched_rows(history: History) -> History:
    """Predicate reads tell only of the rows that matched, as a database's answer does."""

    def matched(operation: Operation) -> Operation:
        if not isinstance(operation, PredicateRead):
            return operation
        matching = history.predicates[operation.predicate]
        return replace(operation, seen=tuple(each for each in operation.seen if each in matching))

    return replace(
        history,
        transactions=tuple(
            replace(each, operations=tuple(matched(operation) for operation in each.operations))
            for each in history.transactions
        ),
    )


def every_cycle(history: History) -> set[tuple[AnomalyName, bool]]:
    """Each cycle of the graph, over each choice of parallel edges, by its name and whether it was to be prevented."""
    graph = graph_of(history, versions := Versions(history))
    named = set()
    for nodes in nx.simple_cycles(nx.DiGraph({node: list(others) for node, others in graph.after.items()})):
        hops = [graph.after[one][other] for one, other in zip(nodes, [*nodes[1:], nodes[0]], strict=True)]
        for edges in product(*hops):
            starts = [number for number, edge in enumerate(edges) if edge.kind is EdgeKind.RW] or [0]
            for start in starts[:1]:
                anomaly = Anomaly.of_cycle((*edges[start:], *edges[:start]), versions.transactions)
                named.add((anomaly.name, anomaly.promised))
    return named


PMP, G_SINGLE = (list(AnomalyName).index(name) for name in (AnomalyName.PMP, AnomalyName.G_SINGLE))


def rank(named: tuple[AnomalyName, bool]) -> int:
    return list(AnomalyName).index(named[0])


def test_no_cycle_that_a_level_promised_to_prevent_is_missed():
    """All simple cycles, over all parallel edges, are listed and named. What the search reports is among them, it
    reports something promised if there is any such, and its strongest name is the strongest."""

    @seed(2)
    @settings(max_examples=HISTORIES, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(histories(), st.lists(st.sampled_from(ISOLATION_LEVELS), min_size=5, max_size=5))
    def agree(history, levels):
        transactions = tuple(
            replace(each, level=level) for each, level in zip(history.transactions, levels, strict=False)
        )
        history = replace(history, transactions=transactions)
        listed = every_cycle(history)
        cycles = [each for each in judge(history).anomalies if each.cycle]
        found = {(each.name, each.promised) for each in cycles}
        for each in cycles:
            assert [edge.target for edge in each.cycle] == [*each.transactions[1:], each.transactions[0]]
            assert len(set(each.transactions)) == len(each.transactions)
        assert found <= listed
        assert any(promise for _, promise in listed) == any(promise for _, promise in found)
        if listed:
            strongest = min(map(rank, found))
            assert strongest == min(map(rank, listed)) or (PMP in map(rank, listed) and strongest <= G_SINGLE)

    agree()
