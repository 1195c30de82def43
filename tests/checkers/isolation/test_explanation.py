"""The explanation of each kind of edge and of each wrong read, word by word."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.notation import history

from lab.checkers.isolation.explanation import explain
from lab.checkers.isolation.judge import judge
from lab.model.history import History
from lab.report.anomaly import anomaly_lines

RC, RR = "READ COMMITTED", "REPEATABLE READ"


def named(made: History, **actors: str) -> History:
    return replace(made, transactions=tuple(replace(each, actor=actors[each.id]) for each in made.transactions))


def why(made: History) -> list[str]:
    return anomaly_lines(explain(judge(made).anomalies[0], made))


def test_a_lost_update_reads_as_in_the_design():
    """The cycle begins with the read that came too early; steps, values, the name and the level's word follow."""
    lost = history("r1(x)=100 r2(x)=100 w2(x)=50 c2 w1(x)=50 c1", "x: 2 1", level=RC)
    assert why(named(lost, T1="alice", T2="bob")) == [
        "alice < bob: alice read 100 before bob replaced it   (rw, #1→#3)",
        "bob < alice: alice overwrote bob's 50                (ww, #3→#5)",
        "a cycle with one rw edge: P4, lost update",
        "READ COMMITTED allows it",
    ]


def test_an_explanation_is_data():
    lost = named(history("r1(x)=100 w2(x)=50 c2 w1(x)=50 c1", "x: 2 1", level=RR), T1="alice", T2="bob")
    explanation = explain(judge(lost).anomalies[0], lost)
    assert (explanation.name, explanation.meaning, explanation.promised, explanation.level) == (
        "P4",
        "lost update",
        True,
        RR,
    )
    assert [(link.before, link.after, link.kind, link.item, link.steps, link.value) for link in explanation.links] == [
        ("alice", "bob", "rw", "x", (1, 2), "100"),
        ("bob", "alice", "ww", "x", (2, 4), "50"),
    ]
    assert explanation.verdict == "REPEATABLE READ promises to prevent it: a finding about the database"


SENTENCES = {
    "two items are named": (
        history("r1(x)=1 w2(x)=2 w2(y)=3 c2 r1(y:2)=3 c1", level=RC),
        ["T1 read x = 1 before T2 replaced it", "T1 read T2's y = 3"],
    ),
    "a delete": (
        history("r1(x)=1 d2(x) w2(y)=3 c2 r1(y:2)=3 c1"),
        ["T1 read x = 1 before T2 deleted it", "T1 read T2's y = 3"],
    ),
    "a deleted row is not found": (
        history("r1(y)=1 d2(x) w2(y)=3 c2 r1(x:2)=- c1"),
        ["T1 read y = 1 before T2 replaced it", "T1 found x deleted by T2"],
    ),
    "an insert": (
        history("r1(x)=- w2(x)=1 w2(y)=3 c2 r1(y:2)=3 c1"),
        ["T1 found no x before T2 inserted it", "T1 read T2's y = 3"],
    ),
    "writes over deletes": (
        history("d1(x) w2(x)=2 w2(y)=2 d1(y) c1 c2", "x: 1 2", "y: 2 1"),
        ["T2 wrote x anew after T1 had deleted it", "T1 deleted T2's y = 2"],
    ),
    "no value is known": (
        history("r1(x) w2(x) c2 w1(x) c1", "x: 2 1"),
        ["T1 read x before T2 replaced it", "T1 overwrote T2's x"],
    ),
    "a predicate": (
        history("p1(v=1:) w2(x)=1 c2 p1(v=1:x@2) c1", matching="v=1: x@2", level=RC),
        ["T1 looked for v=1 before T2 made x match", "T1 looked for v=1 after T2 made x match"],
    ),
    "a predicate that matches no longer": (
        history("p1(v=1:x@0) w2(x)=1 c2 p1(v=1:x@2) c1", matching="v=1: x@0", level=RC),
        ["T1 looked for v=1 before T2 made x match no longer", "T1 looked for v=1 after T2 made x match no longer"],
    ),
    "a predicate and a delete": (
        history("p1(v=1:x@0) p2(v=1:x@0) d2(x) w1(z)=1 c1 c2", matching="v=1: x@0 z@1"),
        [
            "T1 looked for v=1 before T2 deleted x, which matched",
            "T2 looked for v=1 before T1 made z match",
        ],
    ),
    "an aborted read": (
        history("w1(x)=5 r2(x:1) a1 c2"),
        ["T2 read T1's x = 5, which T1 never committed"],
    ),
    "a read of what a savepoint took back": (
        history("(1 w1(x)=5 r2(x:1) s1 c1 c2"),
        ["T2 read T1's x = 5, which T1 rolled back to a savepoint"],
    ),
    "an intermediate read": (
        history("w1(x)=5 r2(x:1.1) w1(x)=6 c1 c2"),
        ["T2 read T1's x = 5, which T1 replaced before its COMMIT"],
    ),
    "an own write that is not seen": (
        history("w1(x)=5 r1(x)=4 c1"),
        ["T1 read x = 4 and not what it had written itself"],
    ),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_each_edge_and_each_wrong_read_has_its_sentence(case):
    made, sentences = SENTENCES[case]
    found = explain(judge(made).anomalies[0], made)
    assert sorted(link.sentence for link in found.links) == sorted(sentences)


LATE = {
    "a change": (
        history("w2(x)=2 r1(x)=1 c2 w1(x)=3 c1", "x: 2 1", level=RC),
        "T1 read 1 while T2's change (#1) was not committed yet",
    ),
    "a snapshot": (
        history("r1(y)=0 w2(x)=2 c2 r1(x)=1 w1(x)=3 c1", "x: 2 1", level=RR),
        "T1 read 1 from a snapshot in which T2's change (#2) was not committed yet",
    ),
    "an insert": (
        history("w2(x)=1 w2(y)=3 r1(x)=- c2 r1(y:2)=3 c1", level=RC),
        "T1 found no x while T2's insert (#1) was not committed yet",
    ),
    "a delete": (
        history("d2(x) w2(y)=3 r1(x)=1 c2 r1(y:2)=3 c1", level=RC),
        "T1 read x = 1 while T2's DELETE (#1) was not committed yet",
    ),
    "a predicate": (
        history("w2(x)=1 p1(v=1:) c2 p1(v=1:x@2) c1", matching="v=1: x@2", level=RC),
        "T1 looked for v=1 while T2's change (#1) that made x match was not committed yet",
    ),
    "a predicate and a delete": (
        history("d2(x) p1(v=1:x@0) c2 p1(v=1:) c1", matching="v=1: x@0", level=RC),
        "T1 looked for v=1 while T2's DELETE (#1) of x, which matched, was not committed yet",
    ),
}


@pytest.mark.parametrize("case", LATE)
def test_a_read_that_came_after_the_write_that_it_missed_is_told_in_the_order_of_time(case):
    """Where steps are numbered in the order of time; those of a file are not."""
    made, sentence = LATE[case]
    anomaly = judge(made).anomalies[0]
    links = [link.sentence for link in explain(anomaly, made, timed=True).links if link.kind == "rw"]
    assert links == [sentence]
    assert not any("committed yet" in link.sentence for link in explain(anomaly, made).links)


def test_the_level_that_is_named_is_the_one_that_decides():
    """For a lost update that of the loser; for write skew the weakest on the cycle."""
    lost = history("r1(x) r2(x) w1(x) c1 w2(x) c2", "x: 1 2", level=RC, levels="1=REPEATABLE READ")
    assert why(lost)[-1] == "READ COMMITTED allows it"
    skew = history("r1(x) r2(y) w1(y) w2(x) c1 c2", levels="1=REPEATABLE READ")
    assert why(skew)[-2:] == ["a cycle with two rw edges: G2-item, write skew", "REPEATABLE READ allows it"]


def test_an_actor_with_several_transactions_is_told_by_them():
    lost = history("r1(x)=1 r2(x)=1 w2(x)=2 c2 w1(x)=3 c1 r3(x:1)=3 c3", "x: 2 1", level=RC)
    assert why(named(lost, T1="alice", T2="bob", T3="alice"))[0].startswith(
        "alice (T1) < bob: alice (T1) read 1 before"
    )
