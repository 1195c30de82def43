"""Each anomaly, by the smallest history that has it, under its name and with its cycle; and the same without the fault.

The histories are those of Adya's thesis and of the fourteen textbook sequences in scenarios/hermitage.py.
"""

from __future__ import annotations

import pytest
from helpers.notation import history

from lab.checkers.isolation.anomalies import Anomaly, AnomalyName
from lab.checkers.isolation.judge import judge
from lab.model.history import INITIAL, History, Read, Transaction, Version, Write

RC, RR, S = "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"


def cycle(anomaly: Anomaly) -> list[str]:
    """The cycle as `T1 rw(x) T2`."""
    return [f"{e.source} {e.kind}({e.predicate or e.item}) {e.target}" for e in anomaly.cycle]


CASES = {
    "G0": (
        ["w1(x)=11 w2(x)=12 w2(y)=22 c2 w1(y)=21 c1", "x: 1 2", "y: 2 1"],
        "G0",
        ["T2 ww(y) T1", "T1 ww(x) T2"],
        ["w1(x)=11 w2(x)=12 w2(y)=22 c2 w1(y)=21 c1", "x: 1 2", "y: 1 2"],
    ),
    "G1a": (["w1(x)=101 r2(x:1) a1 c2"], "G1a", [], ["w1(x)=101 r2(x:0) a1 c2"]),
    "G1a, savepoint": (
        ["(1 w1(x)=101 r2(x:1) s1 c1 c2"],
        "G1a",
        [],
        ["(1 w1(x)=101 r2(x:0) s1 c1 c2"],
    ),
    "G1b": (["w1(x)=101 r2(x:1.1) w1(x)=11 c1 c2"], "G1b", [], ["w1(x)=101 w1(x)=11 r2(x:1.2) c1 c2"]),
    "G1c": (
        ["w1(x)=11 w2(y)=22 r1(y:2) r2(x:1) c1 c2"],
        "G1c",
        ["T1 wr(x) T2", "T2 wr(y) T1"],
        ["w1(x)=11 w2(y)=22 r1(y:0) r2(x:1) c1 c2"],
    ),
    "OTV": (
        ["w1(x)=11 w1(y)=19 c1 w2(x)=12 r3(x:2) r3(y:1) w2(y)=18 c2 c3", "x: 1 2", "y: 1 2"],
        "OTV",
        ["T3 rw(y) T2", "T2 wr(x) T3"],
        ["w1(x)=11 w1(y)=19 c1 w2(x)=12 r3(x:2) w2(y)=18 r3(y:2) c2 c3", "x: 1 2", "y: 1 2"],
    ),
    "PMP": (
        ["p1(30:) w2(z)=30 c2 p1(%3:z@2) r1(z:2) c1", "z: 2"],
        "PMP",
        ["T1 rw(30) T2", "T2 wr(%3) T1"],
        ["p1(30:) w2(z)=30 c2 p1(30:) c1", "z: 2"],
    ),
    "P4": (
        ["r1(x)=10 r2(x)=10 w1(x)=11 c1 w2(x)=11 c2", "x: 1 2"],
        "P4",
        ["T2 rw(x) T1", "T1 ww(x) T2"],
        ["r1(x)=10 w1(x)=11 c1 r2(x:1)=11 w2(x)=12 c2", "x: 1 2"],
    ),
    "P4 by a delete": (
        ["r1(x)=10 r2(x)=10 d1(x) c1 w2(x)=11 c2", "x: 1 2"],
        "P4",
        ["T2 rw(x) T1", "T1 ww(x) T2"],
        ["r1(x)=10 d1(x) c1 r2(x:1)=- w2(x)=11 c2", "x: 1 2"],
    ),
    "P4 of three": (
        ["r1(x)=10 w2(x)=1 c2 w3(x)=2 c3 w1(x)=3 c1", "x: 2 3 1"],
        "P4",
        ["T1 rw(x) T2", "T2 ww(x) T3", "T3 ww(x) T1"],
        ["w2(x)=1 c2 w3(x)=2 c3 r1(x:3)=2 w1(x)=3 c1", "x: 2 3 1"],
    ),
    "G-single": (
        ["r1(x)=10 r2(x)=10 r2(y)=20 w2(x)=12 w2(y)=18 c2 r1(y:2)=18 c1"],
        "G-single",
        ["T1 rw(x) T2", "T2 wr(y) T1"],
        ["r1(x)=10 r2(x)=10 r2(y)=20 w2(x)=12 w2(y)=18 c2 r1(y)=20 c1"],
    ),
    "G-single by a predicate": (
        ["p1(%5:x@0,y@0) r1(x)=10 r1(y)=20 w2(x)=12 c2 p1(%5:x@2,y@0) c1"],
        "G-single",
        ["T1 rw(x) T2", "T2 wr(%5) T1"],
        ["p1(%5:x@0,y@0) r1(x)=10 r1(y)=20 w2(x)=12 c2 p1(%5:x@0,y@0) c1"],
    ),
    "G2-item": (
        ["r1(x)=10 r1(y)=20 r2(x)=10 r2(y)=20 w1(x)=11 w2(y)=21 c1 c2"],
        "G2-item",
        ["T1 rw(y) T2", "T2 rw(x) T1"],
        ["r1(x)=10 r1(y)=20 w1(x)=11 c1 r2(x:1)=11 r2(y)=20 w2(y)=21 c2"],
    ),
    "G2-item of three": (
        ["r1(x)=10 r1(y)=20 w2(y)=25 c2 r3(x)=10 r3(y:2)=25 c3 w1(x)=0 c1"],
        "G2-item",
        ["T3 rw(x) T1", "T1 rw(y) T2", "T2 wr(y) T3"],
        ["r1(x)=10 r1(y)=20 w2(y)=25 c2 w1(x)=0 c1 r3(x:1)=0 r3(y:2)=25 c3"],
    ),
    "G2": (
        ["p1(%3:) p2(%3:) w1(z)=30 w2(u)=42 c1 c2"],
        "G2",
        ["T1 rw(%3) T2", "T2 rw(%3) T1"],
        ["p1(%3:) w1(z)=30 c1 p2(%3:z@1) w2(u)=42 c2"],
    ),
}

MATCHING = {
    "PMP": "30: z@2",
    "G-single by a predicate": "%5: x@0 y@0",
    "G2": "%3: z@1 u@2",
}
ALLOWED_AT = {"PMP": {RC}, "P4": {RC}, "G-single": {RC}, "G2-item": {RC, RR}, "G2": {RC, RR}}


def judged(case: str, words: list[str], level: str = S):
    matching = MATCHING.get(case, "")
    made = history(*words, level=level, matching=matching)
    if case == "PMP":  # the second predicate is another one, with the same rows
        made.predicates["%3"] = made.predicates["30"]
    return judge(made)


@pytest.mark.parametrize("case", CASES)
def test_an_anomaly_is_reported_under_its_name_with_its_cycle(case):
    words, name, edges, _ = CASES[case]
    first = judged(case, words).anomalies[0]
    assert (first.name, cycle(first)) == (name, edges)


@pytest.mark.parametrize("case", CASES)
def test_the_same_without_the_fault_is_clean(case):
    assert judged(case, CASES[case][3]).anomalies == ()


@pytest.mark.parametrize("level", [RC, RR, S])
@pytest.mark.parametrize("case", CASES)
def test_the_two_verdicts_follow_the_table_of_levels(case, level):
    """What a level does not promise to prevent is allowed; what it promises is a finding about the database."""
    words, name, _, _ = CASES[case]
    judgement = judged(case, words, level)
    allowed = level in ALLOWED_AT.get(name, set())
    mine, others = judgement.broken_promises, judgement.allowed
    assert [each.name for each in (others if allowed else mine)][:1] == [name]
    assert not (mine if allowed else others)


def only(words: str, *orders: str, **options) -> list[tuple[str, bool]]:
    return [(each.name.value, each.promised) for each in judge(history(words, *orders, **options)).anomalies]


def test_with_mixed_levels_a_snapshot_protects_the_one_that_holds_it():
    """In a lost update it matters at which level the loser's early read was, not the other's level."""
    lost = ("r1(x)=10 r2(x)=10 w1(x)=11 c1 w2(x)=11 c2", "x: 1 2")
    assert only(*lost, level=RC, levels="2=REPEATABLE READ") == [("P4", True)]
    assert only(*lost, level=RC, levels="1=REPEATABLE READ") == [("P4", False)]


def test_serializability_is_promised_to_those_who_all_ask_for_it():
    """A cycle among the serializable ones is told beside one that runs through another."""
    skew = "r1(x) r2(y) w1(y) w2(x) c1 c2"
    assert only(skew, levels="1=REPEATABLE READ") == [("G2-item", False)]
    longer = "r1(a) r4(b) r5(d) w1(b) w4(d) w5(a) r2(x) r3(y) w2(y) w3(x) c1 c4 c5 c2 c3"
    assert only(longer, level=S, levels="2=REPEATABLE READ") == [("G2-item", True), ("G2-item", False)]
    shorter_ways_run_through_the_other = (
        "w4(b) w4(c) r1(c:4) w1(a) w1(d) r1(f) r2(c:4) r2(d:1) r2(e) r3(a) r3(b) w3(e) w3(f) c1 c2 c3 c4"
    )
    assert only(shorter_ways_run_through_the_other, levels="1=REPEATABLE READ") == [
        ("G2-item", True),
        ("G2-item", False),
    ]


def test_a_way_back_stays_with_the_item_where_it_can():
    """T3 overwrote two items of T2; for the update that T1 loses, x matters."""
    words = "r1(x)=10 w2(y)=1 w2(x)=1 c2 w3(y)=2 w3(x)=2 c3 w1(x)=3 c1"
    found = judge(history(words, "y: 2 3", "x: 2 3 1")).anomalies
    assert cycle(found[0]) == ["T1 rw(x) T2", "T2 ww(x) T3", "T3 ww(x) T1"]


def test_a_cycle_meets_itself_nowhere():
    """From T2 one comes to T3 only through T1, so what T1 saw of T3 makes no OTV of what it missed of T2."""
    words = "w3(q) r1(q:3) r1(a) w2(a) w2(x) r1(x:2) w1(z) r3(z:1) c2 c1 c3"
    assert only(words) == [("G1c", True), ("G-single", True)]


def test_one_statement_that_sees_half_of_a_transaction_is_no_otv():
    """An UPDATE that waited sees the new row and, beside it, its old snapshot: READ COMMITTED allows that."""

    def seen(*steps: int) -> list[AnomalyName]:
        half = (Read("x", Version("T2"), steps[0]), Read("y", INITIAL, steps[1]))
        both = (Write("x", 1), Write("y", 2))
        made = History((Transaction("T2", both, level=RC), Transaction("T1", half, level=RC)))
        return [each.name for each in judge(made).anomalies]

    assert seen(3, 3) == [AnomalyName.G_SINGLE]
    assert seen(3, 4) == [AnomalyName.OTV]


def test_a_transaction_sees_its_own_writes():
    """Another's version, the initial one, and what it has undone itself are wrong; its last standing write is right."""
    assert only("w1(x) r1(x) c1") == [("internal", True)]
    assert ("internal", True) in only("w2(x) c2 w1(x) r1(x:2) c1", "x: 2 1")
    assert only("w1(x) w1(x) r1(x:1.1) c1") == [("internal", True)]
    assert only("w1(x) (1 w1(x) s1 r1(x:1.2) c1") == [("internal", True)]
    assert only("w1(x) (1 w1(x) s1 r1(x:1.1) c1") == []
    assert only("(1 w1(x) r1(x:1) s1 r1(x) c1") == []
    assert only("r1(x:1) w1(x) c1") == [("internal", True)]
    assert only("w1(x) p1(P:x@0) c1", matching="P: x@0") == [("internal", True)]


def test_one_snapshot_has_one_version_of_an_item():
    """At READ COMMITTED two reads may differ, which is G-single; above, it is also inconsistent in itself."""
    twice = "r1(x)=10 w2(x)=11 c2 r1(x:2)=11 c1"
    assert only(twice, level=RC) == [("G-single", False)]
    assert only(twice, level=RR) == [("internal", True), ("G-single", True)]


def test_what_an_aborted_transaction_read_is_nobodys_concern():
    """Retried attempts are transactions of their own, and theirs are no nodes of the graph."""
    assert only("r1(x)=10 r2(x)=10 w1(x)=11 c1 w2(x)=11 a2") == []
    assert only("w1(x) r2(x:1) a1 a2") == []


def test_a_predicate_read_that_does_not_name_a_row_stands_for_what_every_version_would_say():
    """A row that came and went may have been seen before or after: no edge is made of a guess."""
    came = "p1(P:) w2(z) c2 w1(y) c1 r3(y:1) w3(z) c3"
    assert only("p1(P:) w2(z) c2 r1(z:2) c1", matching="P: z@2") == [("PMP", True)]
    assert only("p1(P:) w2(z) w2(q) c2 d3(z) c3 r1(q:2) c1", "z: 2 3", matching="P: z@2") == []
    assert only("p1(P:z@0) w2(z) w2(q) c2 d3(z) c3 r1(q:2) c1", "z: 2 3", matching="P: z@2") == [("PMP", True)]
    assert only(came, "z: 2 3", matching="P: z@2 z@3") == []


def test_a_predicate_read_and_the_transactions_own_writes():
    """After its own write it tells nothing of others; a version that follows one it was yet to write is impossible."""
    assert only("w1(x) p1(P:x@1) w2(x) w2(y) r1(y:2) c1 c2", "x: 1 2", matching="P: x@2") == [("G1c", True)]
    assert only("w2(x) c2 p1(P:x@2) w1(x) c1", "x: 1 2", matching="P: x@1 x@2") == [("G1c", True)]


def test_the_shortest_cycle_of_a_name_is_shown_and_the_same_one_each_time():
    """Of a cycle of three and one of two, the one of two; whatever the order of the hash seed."""
    words = "r1(a) r2(b) r3(c) w1(b) w2(c) w3(a) r4(x) r5(y) w4(y) w5(x) c1 c2 c3 c4 c5"
    found = judge(history(words)).anomalies
    assert [each.name for each in found] == [AnomalyName.G2_ITEM]
    assert cycle(found[0]) == ["T4 rw(x) T5", "T5 rw(y) T4"]
