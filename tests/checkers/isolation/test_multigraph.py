"""The components of a graph are those of a library, in the library's order."""

from __future__ import annotations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from lab.checkers.isolation.multigraph import Multigraph, components

EDGES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40)


@given(EDGES)
def test_components_are_those_of_networkx_in_its_order(edges):
    graph: Multigraph[int, int] = Multigraph(range(10))
    other = nx.MultiDiGraph()
    other.add_nodes_from(range(10))
    for number, (source, target) in enumerate(edges):
        graph.add(source, target, number)
        other.add_edge(source, target, edge=number)
    assert list(components(graph.after)) == list(nx.strongly_connected_components(other))
    assert list(graph.edges()) == list(other.edges(data="edge"))
    assert list(graph) == list(other)


def test_a_long_chain_needs_no_recursion():
    chain = {node: [node + 1] for node in range(50_000)} | {50_000: [0]}
    assert [len(each) for each in components(chain)] == [50_001]
