"""Comparing an execution with serial runs: rows as PostgreSQL writes them, ids that only name, orders, differences."""

from __future__ import annotations

from itertools import permutations

import pytest
from helpers.decided import step_of
from hypothesis import given
from hypothesis import strategies as st

from lab.checkers.serial.composite import fields_of
from lab.checkers.serial.effects import effects_of
from lab.checkers.serial.equivalence import differences, is_serial, nearest, order_of_ends, orders, summary
from lab.model.layout import Column, Drawn, Layout, Position
from lab.model.outcome import ActorResult, Ending, Outcome, ResultKind
from lab.model.trace import Action, ActionKind, Result, Trace
from lab.model.yardstick import Difference, DifferenceKind

FIELDS = st.lists(st.none() | st.text('ab1 ,"\\()', max_size=6), min_size=1, max_size=5)
LAYOUT = Layout(
    {
        "parent": (Column("id", key=True, origin="parent.id"), Column("name")),
        "child": (Column("id", key=True, origin="child.id"), Column("parent_id", origin="parent.id"), Column("size")),
    },
    {"parent.id": "parent_id_seq", "child.id": "child_id_seq"},
)
DRAWN = Drawn({origin: (Position(1, called=False), Position(900, called=True)) for origin in LAYOUT.sequences})


def composite(fields: list[str | None]) -> str:
    """As PostgreSQL's `record_out` writes it: quotes where something would be taken for syntax, doubled inside."""
    written = []
    for field in fields:
        if field is None:
            written.append("")
        elif field == "" or any(each in '(), "\\' for each in field):
            written.append('"' + field.replace("\\", "\\\\").replace('"', '""') + '"')
        else:
            written.append(field)
    return f"({','.join(written)})"


@given(FIELDS)
def test_a_composite_text_is_read_as_it_was_written(fields):
    assert fields_of(composite(fields)) == fields


@pytest.mark.parametrize("text", ["", "1,2", "(1", '("a)'])
def test_what_is_no_composite_text_is_refused(text):
    with pytest.raises(ValueError, match=r"composite|quotes"):
        fields_of(text)


def effects(parents, children, shown=(), text="None"):
    """Effects of rows (id, name) and (id, parent, size); one actor was shown these ids and returned a text."""
    rows = {
        "parent": tuple(sorted(composite(list(map(str, row))) for row in parents)),
        "child": tuple(sorted(composite(list(map(str, row))) for row in children)),
    }
    step = step_of(
        1,
        "ann",
        ("ann",),
        Action(ActionKind.STATEMENT, "INSERT INTO parent (name) VALUES ($1) RETURNING parent.id"),
        result=Result("INSERT 0 1", tuple((str(each),) for each in shown), ("id",)),
    )
    outcome = Outcome(Ending.COMPLETED, {"ann": ActorResult(ResultKind.RETURNED, text)}, rows)
    return effects_of(Trace((step,), ("ann",)), outcome, LAYOUT, DRAWN, ["ann"])


@st.composite
def databases(draw):
    numbers = draw(st.lists(st.integers(1, 800), min_size=2, max_size=6, unique=True))
    cut = draw(st.integers(1, len(numbers) - 1))
    parents = [(number, draw(st.sampled_from("xy"))) for number in numbers[:cut]]
    children = [(number, draw(st.sampled_from(numbers[:cut])), draw(st.integers(900, 903))) for number in numbers[cut:]]
    return parents, children


@given(databases(), st.randoms(use_true_random=False))
def test_other_generated_ids_make_no_difference(database, chance):
    """Rows, references to them and what the actor was shown are renamed together."""
    parents, children = database
    new = chance.sample(range(1, 800), len(parents))
    name = dict(zip([number for number, _ in parents], new, strict=True))
    renamed = [(name[number], what) for number, what in parents]
    led = [(number, name[parent], size) for number, parent, size in children]
    first, again = parents[0][0], renamed[0][0]
    one = effects(parents, children, [first], f"[{first}]")
    other = effects(renamed, led, [again], f"[{again}]")
    assert differences(one, other) == ()
    assert "ids of parent" in one.normalised


@given(databases(), st.integers(0, 5))
def test_any_other_value_makes_one(database, at):
    parents, children = database
    number, parent, size = children[at % len(children)]
    changed = [(number, parent, size + 50), *children[: at % len(children)], *children[at % len(children) + 1 :]]
    assert differences(effects(parents, children), effects(parents, changed))
    assert differences(effects(parents, children, text="1"), effects(parents, children, text="2"))


def test_a_number_that_the_actor_was_not_shown_is_compared_as_it_is():
    """A count of 2 is not the id 2."""
    rows = [(1, "x"), (2, "x")]
    assert differences(effects(rows, [], [1], "2"), effects(rows, [], [1], "3"))
    assert not differences(effects(rows, [], [1], "1"), effects(rows, [], [2], "2"))


def outcome_of(**kinds: ResultKind) -> Outcome:
    return Outcome(Ending.COMPLETED, {name: ActorResult(kind) for name, kind in kinds.items()})


def trace_of(names: str) -> Trace:
    steps = [
        step_of(number, name, (name,), Action(ActionKind.STATEMENT, "SELECT 1"))
        for number, name in enumerate(names.split(), 1)
    ]
    return Trace(tuple(steps), tuple(dict.fromkeys(names.split())))


def test_who_returned_is_in_every_order_who_was_refused_in_none_and_who_raised_may_be():
    outcome = outcome_of(a=ResultKind.RETURNED, b=ResultKind.RAISED, c=ResultKind.ABORTED, d=ResultKind.RETURNED)
    first = order_of_ends(trace_of("a b c d b a"), outcome)
    assert first == ("d", "b", "a")
    found = orders(first, outcome)
    assert found[0] == first
    assert set(found) == {*permutations("abd"), *permutations("ad")}
    assert len(found) == len(set(found)) == 8


@pytest.mark.parametrize(
    ("steps", "serial"), [("a a b b", True), ("a b a b", False), ("a a/1 b", True), ("b a", False)]
)
def test_only_a_run_in_which_each_goes_to_its_end_is_a_yardstick(steps, serial):
    outcome = outcome_of(a=ResultKind.RETURNED, b=ResultKind.RETURNED)
    assert is_serial(trace_of(steps), outcome, ("a", "b")) == serial


def test_the_nearest_order_is_the_one_with_the_fewest_differences_and_is_told_in_a_sentence():
    row = Difference(DifferenceKind.ROW, "account 1", "(1,70)", "(1,100)")
    result = Difference(DifferenceKind.RESULT, "ann", "returned 1", "returned 2")
    judgement = nearest({("ann", "ben"): (row, result), ("ben", "ann"): (row,)}, 1, ["ids of event"])
    assert (judgement.order, judgement.tried, judgement.unusable) == (("ben", "ann"), 2, 1)
    assert (
        summary(judgement)
        == "account 1 holds (1,70); after ben, then ann, it holds (1,100); 2 serial orders were tried"
    )
    assert nearest({}, 2, []).obstacle == "its actors cannot run one after the other in any order"


def test_equal_rows_without_a_key_are_counted():
    """A row that both have is no difference but by its number, and equal ones are told once."""
    layout = Layout({"log": (Column("word"),)}, {})

    def effects(*words: str):
        outcome = Outcome(Ending.COMPLETED, {}, {"log": tuple(f"({word})" for word in words)})
        return effects_of(Trace(), outcome, layout, Drawn({}), ())

    def told(here: str, there: str) -> list[tuple[str, str]]:
        return [(each.here, each.there) for each in differences(effects(*here.split()), effects(*there.split()))]

    assert told("a a b", "a b") == [("(a) twice", "(a) once")]
    assert told("a b", "a a a b") == [("(a) once", "(a) 3 times")]
    assert told("a a", "") == [("(a) twice", "")]
    assert told("", "b b") == [("", "(b) twice")]
    assert told("a a c", "b c") == [("(a) twice", "(b)")]
    assert told("a b", "b a") == []
