"""The story: a table that fits the page."""

from __future__ import annotations

from helpers.decided import step_of
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.model.trace import Action, ActionKind, LockWait, Result, Trace
from lab.report.story import WIDTH, story


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
    """Whatever is in the statements, each step begins one line with its number, and no line exceeds the width."""
    text = story(trace)
    lines = text.splitlines()
    assert max(map(len, lines)) <= WIDTH
    numbers = [int(line[:3]) for line in lines if line[:3].strip().isdigit()]
    assert numbers == [step.number for step in trace]
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
