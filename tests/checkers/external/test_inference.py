"""What lists and registers tell of versions and their order, and what is said when they do not tell enough."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest

from lab.checkers.external.history_file import read_history
from lab.checkers.external.inference import Checked, check_recorded
from lab.errors import UsageError


def transaction(text: str, **fields) -> dict:
    """`r x 1,2; a x 3` as a transaction: `a` appends, `w` writes, `r` reads a list or, without brackets, a value."""
    operations = []
    for each in text.split("; "):
        kind, key, *value = each.split()
        if kind == "r":
            read = json.loads(value[0])
            operations.append(["read", key, read])
        else:
            operations.append([{"a": "append", "w": "write"}[kind], key, int(value[0])])
    return {"operations": operations, **fields}


def check(model: str, *transactions: str | dict, **fields) -> Checked:
    made = [transaction(each) if isinstance(each, str) else each for each in transactions]
    return check_recorded(read_history({"model": model, "transactions": made, **fields}))


def lists(*transactions: str | dict, **fields) -> list[str]:
    return [each.name.value for each in check("list-append", *transactions, **fields).judgement.anomalies]


def registers(*transactions: str | dict, **fields) -> list[str]:
    return [each.name.value for each in check("rw-register", *transactions, **fields).judgement.anomalies]


def test_the_longest_list_that_was_read_is_the_order_of_its_elements():
    """T1 missed what T2 appended, T3 saw both, and the other way round for y."""
    assert lists("r x []; a y 1", "r y []; a x 2", "r x [2]; r y [1]") == ["G2-item"]
    assert lists("a y 1; r x []", "r y [1]; a x 2", "r x [2]; r y [1]") == []
    assert lists("a x 1; a y 1", "a x 2; a y 2", "r x [1,2]; r y [2,1]") == ["G0"]
    assert lists("a x 1; r y [2]", "a y 2; r x [1]") == ["G1c"]
    assert lists("r x []; a x 1", "r x []; a x 2", "r x [1,2]") == ["P4"]


def test_what_was_appended_and_never_read_comes_last():
    """Their order among themselves stays open and hides nothing; what missed them is still found."""
    done = check("list-append", "a x 1", "a x 2", "a x 3", "r x [1]")
    assert (done.judgement.serializable, done.serializable, done.open_keys) == (True, True, ())
    assert lists("r x []; a y 1", "r y []; a x 2; a x 3") == ["G2-item"]
    assert lists("a x 0", "r x [0]; a y 1", "r y []; a x 2", "a x 3") == ["G2-item"]


def test_lists_that_contradict_each_other_have_no_order():
    assert lists("a x 1", "a x 2", "r x [1,2]", "r x [2]") == ["incompatible order"]
    assert lists("a x 1", "r x [1,1]") == ["incompatible order"]


def test_a_list_shows_what_should_not_be_seen_also_before_its_end():
    """An aborted element in the middle, a list that ends in between two appends, and an own append that is gone."""
    assert lists(transaction("a x 1", status="aborted"), "a x 2", "r x [1,2]") == ["G1a"]
    assert lists(transaction("a x 1", status="aborted"), "r x [1]") == ["G1a"]
    assert lists("a x 1; a x 2", "r x [1]") == ["G1b"]
    assert lists("a x 1; a x 2", "r x [1]", "r x [1,2]") == ["G1b"]
    assert lists("a x 1; r x []") == ["internal"]


def test_a_transaction_of_unknown_end_committed_if_somebody_saw_it():
    unknown = transaction("a x 1", status="unknown")
    assert lists(unknown, "r x [1]; a y 1", "r x []; r y [1]") == ["G-single"]
    assert lists(unknown, "r x []", "r x []") == []
    chain = transaction("r x [1]; a y 2", status="unknown")
    done = check("list-append", unknown, chain, "r y [2]")
    assert done.judgement.committed == 3


def test_a_register_is_ordered_by_those_who_read_and_then_wrote():
    """Also where nothing else is known: two that read one value and both wrote have lost an update in either order."""
    assert registers("r x null; w x 1", "r x null; w x 2") == ["P4"]
    assert registers("r x null; w x 1", "r x 1; w x 2", "r x 2; w y 1", "r x 1; r y 1") == ["G-single"]
    assert registers("r x 0; w x 1", "r x 0; w x 2", initial={"x": 0}) == ["P4"]
    assert registers("r x null; w x 1", "r x 1; w x 2") == []


def test_a_lost_update_in_an_unknown_order_was_promised_to_be_prevented_if_both_asked_for_it():
    def promised(*levels: str) -> list[bool]:
        one, other = (transaction(f"r x null; w x {n}", isolation=level) for n, level in enumerate(levels))
        return [each.promised for each in check("rw-register", one, other).judgement.anomalies]

    assert promised("REPEATABLE READ", "SERIALIZABLE") == [True]
    assert promised("READ COMMITTED", "SERIALIZABLE") == [False]


def test_an_order_can_be_told():
    told = ("w x 1", "w x 2", "r x 2; w y 1", "r x 1; r y 1")
    assert registers(*told, orders={"x": [1, 2]}) == ["G-single"]
    assert registers(*told, orders={"x": [2, 1]}) == []
    aborted = transaction("w x 9", status="aborted")
    assert registers(*told, aborted, orders={"x": [1, 9, 2]}) == ["G-single"]
    seen_before = (*told[:3], "r y 1; r x 1")
    assert registers(*seen_before, orders={"x": [1, 2]}) == ["OTV"]


def test_an_order_that_stays_open_is_tried_and_never_guessed():
    """It passes where an order without a violation is found; where the one that was tried has some, nobody knows."""
    open_order = check("rw-register", "w x 1", "w x 2", "r x 1", "r x 2")
    assert (open_order.serializable, open_order.open_keys) == (True, ())
    unsure = check("rw-register", "w x 1", "w x 2", "r x 1; w y 1", "r y 1; r x 2; w z 1", "r z 1; r x 1")
    assert unsure.judgement.anomalies == ()
    assert (unsure.serializable, unsure.open_keys) == (None, ("x",))


def test_a_key_that_all_read_first_and_then_wrote_costs_no_edge_for_each_pair():
    """300 transactions would have 89,700."""
    done = check("rw-register", *(f"r x null; w x {number}" for number in range(300)))
    assert [each.name.value for each in done.judgement.anomalies] == ["P4"]
    assert done.judgement.edges < 300 * 25


SCRIPT = """
import json, sys
from lab.checkers.external.history_file import read_history
from lab.checkers.external.inference import check_recorded
checked = check_recorded(read_history(json.load(sys.stdin)))
print([(each.name.value, each.promised, each.cycle, each.observation) for each in checked.judgement.anomalies])
"""


def test_the_same_history_has_the_same_cycles_in_every_process():
    """Nothing depends on the order in which a set of texts is walked through, which differs between processes."""
    rng = random.Random(1)
    keys = [f"key {number}" for number in range(6)]
    values = {key: [None] for key in keys}
    transactions = []
    for number in range(60):
        reads = [["read", key, values[key][-rng.randint(1, min(3, len(values[key])))]] for key in rng.sample(keys, 3)]
        written = rng.choice(keys)
        values[written].append(number)
        transactions.append({"operations": [*reads, ["write", written, number]]})
    data = json.dumps({"model": "rw-register", "transactions": transactions})
    said = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            input=data,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    ]
    assert said[0].count("Edge(") > 4
    assert said[0] == said[1] == said[2]


BAD = {
    "a history is [1]; it must be an object": [1],
    '"model" is missing; it must be "list-append" or "rw-register"': {"transactions": []},
    'a history has "transaction"; known are': {"model": "rw-register", "transaction": []},
    'a history needs "transactions", a list': {"model": "rw-register"},
    '"transactions" is 7; it must be a list': {"model": "rw-register", "transactions": 7},
    '"isolation" is "SNAPSHOT"; it must be one of': {
        "model": "rw-register",
        "isolation": "SNAPSHOT",
        "transactions": [],
    },
    'transaction 1 needs "operations"': {"model": "rw-register", "transactions": [{}]},
    '"status" of transaction 1 is "ok"; it must be one of committed, aborted, unknown': {
        "model": "rw-register",
        "transactions": [{"status": "ok", "operations": []}],
    },
    'two transactions have the id "T2"': {
        "model": "rw-register",
        "transactions": [{"id": "T2", "operations": []}, {"operations": []}],
    },
    "operation 1 of transaction 1 is ['append', 'x', 1]; it must be [\"read\", key, value] or": {
        "model": "rw-register",
        "transactions": [{"operations": [["append", "x", 1]]}],
    },
    "the key of operation 1 of transaction 1 is 5; it must be a text": {
        "model": "rw-register",
        "transactions": [{"operations": [["write", 5, 1]]}],
    },
    "the value of operation 1 of transaction 1 is True; it must be a whole number or a text": {
        "model": "rw-register",
        "transactions": [{"operations": [["write", "x", True]]}],
    },
    "an element of operation 1 of transaction 1 is 1.5": {
        "model": "list-append",
        "transactions": [{"operations": [["read", "x", [1.5]]]}],
    },
    '"id" of transaction 1 is 1; it must be a text': {
        "model": "rw-register",
        "transactions": [{"id": 1, "operations": []}],
    },
    "T1 reads 9 from x, which no transaction wrote": {
        "model": "list-append",
        "transactions": [{"operations": [["read", "x", [9]]]}],
    },
    "T2 writes 1 to x, and so does T1; each value may be written once": {
        "model": "rw-register",
        "transactions": [{"operations": [["write", "x", 1]]}] * 2,
    },
    '"orders" of x names 3, which no transaction wrote': {
        "model": "rw-register",
        "orders": {"x": [3]},
        "transactions": [],
    },
    '"orders" of x must name each written value once': {
        "model": "rw-register",
        "orders": {"x": [1, 1]},
        "transactions": [{"operations": [["write", "x", 1]]}],
    },
    '"initial" is only for the model "rw-register"': {
        "model": "list-append",
        "initial": {"x": 1},
        "transactions": [],
    },
}


@pytest.mark.parametrize("sentence", BAD)
def test_what_is_wrong_with_a_file_is_told_in_one_sentence(sentence):
    with pytest.raises(UsageError) as error:
        check_recorded(read_history(BAD[sentence]))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
