"""The story: a table that fits the page."""

# ruff: noqa: RUF001 - the sign between a line and how often it comes

from __future__ import annotations

from dataclasses import replace

from helpers.decided import step_of
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.model.trace import Action, ActionKind, LockWait, Result, Trace
from lab.report.folding import folded
from lab.report.story import TALL, WIDTH, story


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Traces with long statements, long words, waits and preemptions."""
    names = draw(st.lists(st.text("abcdefgh/1", min_size=1, max_size=12), min_size=1, max_size=7, unique=True))
    steps = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        actor = draw(st.sampled_from(names))
        text = draw(st.text("ab c,=$1xyz", max_size=200))
        wait = LockWait((names[0],), "ShareLock", "row (0,1) of account") if draw(st.booleans()) else None
        preempted = draw(st.sampled_from(["", names[0]]))
        result = Result("SELECT 1", ((draw(st.text("0123456789", max_size=80)),),))
        steps.append(
            step_of(number, actor, (actor,), Action(ActionKind.STATEMENT, text), False, result, wait, preempted)
        )
    return Trace(tuple(steps), tuple(names))


@settings(deadline=None)  # a busy machine is no defect
@given(traces())
def test_no_line_of_a_story_is_wider_than_the_page_and_no_step_is_missing(trace):
    """Whatever is in the statements, each step that is not folded begins one line with its number."""
    text = story(trace)
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    numbers = [int(line[:3]) for line in lines if line[:3].strip().isdigit()]
    assert numbers == [each.step.number for each in folded(trace)]
    assert text.count("── preemption: ") == trace.preemptions


def test_a_long_statement_of_one_of_many_actors_goes_on_in_the_next_line():
    """Where actors share one column, long statements are broken as well, and what follows is indented."""
    action = Action(ActionKind.STATEMENT, "SELECT " + ", ".join(f"column_{number}" for number in range(30)))
    steps = [step_of(number, name, (name,), action) for number, name in enumerate("abcde", 1)]
    lines = story(Trace(tuple(steps), tuple("abcde"))).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert len(lines) > 2 * len(steps)
    assert lines[0].startswith("  1  a  SELECT column_0, ")
    assert lines[1].startswith(" " * 10)


def test_two_actors_have_columns_and_five_share_one():
    """Few actors stand side by side; many are named in front of each line."""

    def told(*names: str) -> list[str]:
        steps = [step_of(n, name, (name,), Action(ActionKind.COMMIT)) for n, name in enumerate(names, 1)]
        return story(Trace(tuple(steps), names)).splitlines()

    assert told("ann", "ben")[0].split() == ["#", "ann", "ben"]
    assert told("ann", "ben")[2].index("COMMIT") > 50
    assert told("a", "b", "c", "d", "e")[1] == "  2  b  COMMIT"


def of(*texts: str, name: str = "ann", **more) -> Trace:
    """Statements of one actor."""
    actions = [Action(ActionKind.COMMIT) if each == "COMMIT" else Action(ActionKind.STATEMENT, each) for each in texts]
    return Trace(tuple(step_of(number, name, (name,), each, **more) for number, each in enumerate(actions, 1)), (name,))


def lines_of(trace: Trace, **more) -> list[str]:
    return [line.strip() for line in story(trace, **more).splitlines()[1:]]


def test_statements_that_repeat_are_folded_and_say_how_often_they_come():
    """From three on; a round may have several steps; what follows keeps its number."""
    assert lines_of(of(*["a"] * 12, "b")) == ["1  a (× 12, to #12)", "13  b"]
    assert lines_of(of("a", "a", "b")) == ["1  a", "2  a", "3  b"]
    assert lines_of(of("x", *["a", "COMMIT"] * 5, "b")) == ["1  x", "2  a", "3  COMMIT (#2 to #3 × 5, to #11)", "12  b"]


def test_steps_that_are_spoken_of_and_those_that_differ_are_not_folded():
    """A wait, an error, another actor's turn, and a step that the message names."""
    assert lines_of(of(*["a"] * 8), apart={8}) == ["1  a (× 7, to #7)", "8  a"]
    assert lines_of(of(*["a"] * 4), apart={3}) == ["1  a", "2  a", "3  a", "4  a"]
    steps = list(of(*["a"] * 5).steps)
    for other in (
        replace(steps[2], result=Result(error="23505")),
        replace(steps[2], wait=LockWait(("ben",))),
        replace(steps[2], action=Action(ActionKind.STATEMENT, "a", database="other")),
    ):
        trace = Trace((*steps[:2], other, *steps[3:]), ("ann",))
        assert [each.step.number for each in folded(trace)] == [1, 2, 3, 4, 5]
    back = Trace((*steps[:2], replace(steps[2], preempted="ben"), *steps[3:]), ("ann",))
    assert [each.step.number for each in folded(back)] == [1, 2, 3]


def test_folded_statements_with_other_values_say_so():
    """The line shows the values of the first."""
    steps = [
        replace(step, action=Action(ActionKind.STATEMENT, "a $1", (str(step.number),))) for step in of(*["a"] * 4).steps
    ]
    assert lines_of(Trace(tuple(steps), ("ann",))) == ["1  a 1 (× 4, to #4, with other values)"]


def test_a_table_that_is_too_tall_for_a_screen_gives_way_to_a_list():
    """Where that is shorter."""
    words = " ".join(["word"] * 20)
    names = ["ann", "ben", "cleo"]
    steps = [
        step_of(number, names[number % 3], names, Action(ActionKind.STATEMENT, f"{words} {number}"))
        for number in range(1, 13)
    ]
    trace = Trace(tuple(steps), tuple(names))
    assert story(trace, 84).splitlines()[0].startswith("  1  ben   word")
    assert len(story(trace, 100).splitlines()) <= TALL
    assert story(Trace(tuple(steps[:4]), tuple(names)), 100).splitlines()[0].split() == ["#", "ann", "ben", "cleo"]


LONG = "SELECT item.id, item.name, item.size, item.colour, item.price, item.stock FROM item WHERE item.id = $1::INTEGER"


def test_long_lists_are_cut_to_keys_and_what_is_set_or_compared():
    """In the statement and in its answer alike; a list that nobody sets anything of keeps its key."""
    read = Action(ActionKind.STATEMENT, LONG, ("7",))
    write = Action(ActionKind.STATEMENT, "UPDATE item SET stock=$1 WHERE item.id = $2", ("2", "7"))
    row = Result("SELECT 1", (("7", "'pen'", "1", "'red'", "10", "3"),))
    steps = (
        step_of(1, "ann", ("ann",), read, result=row),
        step_of(2, "ann", ("ann",), write, result=Result("UPDATE 1")),
    )
    assert lines_of(Trace(steps, ("ann",))) == [
        "1  SELECT id, stock, … FROM item WHERE id = 7 → (7, 3, …)",
        "2  UPDATE item SET stock=2 WHERE id = 7 → 1 row",
    ]
    every = Action(ActionKind.STATEMENT, LONG.partition(" WHERE")[0])
    alone = (step_of(1, "ann", ("ann",), every, result=row),)
    assert lines_of(Trace(alone, ("ann",)), keys={"name"}) == ["1  SELECT name, … FROM item → ('pen', …)"]
    assert lines_of(Trace(alone, ("ann",))) == ["1  SELECT id, … FROM item → (7, …)"]
