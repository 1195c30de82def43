"""A long fork: rw edges of which no two follow each other. One snapshot for each transaction prevents it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import networkx as nx
import pytest
from helpers.lab_program import lab_each
from helpers.notation import history
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from lab.checkers.isolation.anomalies import AnomalyName, are_apart
from lab.checkers.isolation.apart import reads_apart
from lab.checkers.isolation.graph import Edge, EdgeKind
from lab.checkers.isolation.judge import judge

RC, RR, S = "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"
EXAMPLE = Path(__file__).parents[3] / "docs" / "histories" / "long_fork.json"

FORK = "w1(x)=1 c1 w2(y)=1 c2 r3(x:1) r3(y:0) c3 r4(y:2) r4(x:0) c4"
"""Two readers see the writes of two others in opposite orders."""
RING = "w1(x)=1 c1 w2(y)=1 c2 w3(z)=1 c3 r4(x:1) r4(y:0) c4 r5(y:2) r5(z:0) c5 r6(z:3) r6(x:0) c6"
"""The same with three."""
CHAIN = "w1(x)=1 w1(a)=1 c1 r2(a:1) w2(b)=1 c2 w3(y)=1 c3 r4(b:2) r4(y:0) c4 r5(y:3) r5(x:0) c5"
"""One of the reads is of what followed."""


def named(found) -> list[tuple[str, bool]]:
    return [(each.name, each.promised) for each in found.anomalies]


@pytest.mark.parametrize("text", [FORK, RING, CHAIN])
def test_snapshot_isolation_promises_to_prevent_a_long_fork(text):
    for level in (RR, S):
        assert (AnomalyName.LONG_FORK, True) in named(judge(history(text, level=level)))
    assert named(judge(history(text, level=RC))) == [(AnomalyName.LONG_FORK, False)]


def test_a_write_skew_is_no_long_fork():
    skew = "r1(x) r1(y) r2(x) r2(y) w1(x)=1 w2(y)=1 c1 c2"
    assert named(judge(history(skew, level=RR))) == [(AnomalyName.G2_ITEM, False)]


def test_a_fork_within_a_serial_order_is_none():
    assert judge(history(FORK.replace("r4(x:0)", "r4(x:1)"), level=RR)).serializable


def test_only_the_snapshots_of_those_that_read_too_early_count():
    fork = judge(history(FORK, level=RR, levels=f"1={RC},2={RC}"))
    assert (AnomalyName.LONG_FORK, True) in named(fork)
    assert named(judge(history(FORK, level=RR, levels=f"3={RC}"))) == [(AnomalyName.LONG_FORK, False)]


def test_a_fork_by_snapshots_is_found_beside_a_shorter_one_without():
    text = f"{FORK} w5(u)=1 c5 w6(v)=1 c6 r7(u:5) r7(v) r7(x:1) c7 r8(v:6) r8(u) r8(x:1) c8"
    found = judge(history(text, level=RR, levels=f"7={RC},8={RC}"))
    assert (AnomalyName.LONG_FORK, True) in named(found)
    assert (AnomalyName.LONG_FORK, False) in named(found)


def test_check_history_refuses_a_long_fork_by_its_name():
    line = ["check-history", str(EXAMPLE)]
    (refused, allowed, data) = lab_each([line, [*line, "--isolation", RC], [*line, "--json"]])
    assert (refused[0], allowed[0], data[0]) == (1, 0, 1)
    assert refused[1].startswith("LONG FORK  which REPEATABLE READ promises to prevent")
    assert "a cycle with two rw edges: long fork" in refused[1]
    assert json.loads(data[1])["anomalies"][0]["name"] == "long fork"


def _graph(edges) -> dict[str, dict[str, list[Edge]]]:
    neighbours: dict[str, dict[str, list[Edge]]] = {str(node): {} for node in range(6)}
    for kind, one, other in edges:
        if one != other:
            neighbours[str(one)].setdefault(str(other), []).append(Edge(kind, str(one), str(other), "x"))
    return neighbours


def _forbidden(neighbours) -> bool:
    """Whether some simple cycle has no two rw edges in a row, over each choice of parallel edges: by brute force."""
    graph = nx.DiGraph([(one, other) for one, others in neighbours.items() for other in others])
    return any(_may_be_apart(neighbours, nodes) for nodes in nx.simple_cycles(graph))


def _may_be_apart(neighbours, nodes) -> bool:
    kinds = [
        {edge.kind is EdgeKind.RW for edge in neighbours[one][other]} for one, other in pairwise([*nodes, nodes[0]])
    ]
    forced = [kind == {True} for kind in kinds]
    return not any(one and other for one, other in pairwise([*forced, forced[0]]))


def test_by_brute_force_a_cycle_is_found_where_there_is_one():
    """On graphs of six nodes. Cycles with at most one rw edge are those that the other searches find."""
    kind = st.sampled_from([EdgeKind.RW, EdgeKind.RW, EdgeKind.WR, EdgeKind.WW])
    more = st.lists(st.tuples(kind, st.integers(0, 5), st.integers(0, 5)), max_size=6)
    met = {True: 0, False: 0}

    @seed(3)
    @settings(max_examples=300, database=None, deadline=None)
    @given(st.lists(kind, min_size=4, max_size=6), more)
    def agree(ring, more):
        edges = [(each, place, (place + 1) % len(ring)) for place, each in enumerate(ring)]
        neighbours = _graph([*edges, *more])
        found = list(reads_apart(neighbours))
        for cycle in found:
            assert all(one.target == other.source for one, other in pairwise((*cycle, cycle[0])))
            assert len({each.source for each in cycle}) == len(cycle)
            assert are_apart(cycle)
            assert sum(each.kind is EdgeKind.RW for each in cycle) > 1
        seen = {
            one: {o: [e for e in es if e.kind is not EdgeKind.RW] for o, es in os.items()}
            for one, os in neighbours.items()
        }
        plain = nx.DiGraph([(one, other) for one, others in seen.items() for other, es in others.items() if es])
        single = any(
            each.kind is EdgeKind.RW
            and plain.has_node(each.target)
            and plain.has_node(one)
            and nx.has_path(plain, each.target, one)
            for one, others in neighbours.items()
            for edges_ in others.values()
            for each in edges_
        )
        expected = _forbidden(neighbours)
        none = nx.is_directed_acyclic_graph(plain)
        met[expected and none and not single] += 1
        if expected and none and not single:
            assert found
        assert expected or not found

    agree()
    assert met[True] > 5
