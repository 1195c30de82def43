"""One queue: each execution is made once, by whoever is free, and what is lost is made again."""

from __future__ import annotations

from itertools import count

from lab.analysis.tally import HuntResult
from lab.schedulers.course import Course
from lab.search.crew.desk import AHEAD, Desk, Figures
from lab.search.crew.made import Made


def made(key: str, *onward: Course, trouble: str = "") -> Made:
    result = HuntResult("m:C", 0, executions=1)
    result.note(f"trace {key}", "outcome")
    return Made(key, result, ("invariant", "money"), {"steps": [[0, 0, "point", 0, 1]]}, onward, trouble)


def keys(desk: Desk, *given: str, left: int = 100) -> list[str]:
    return [each.key for each in desk.foreseen(map(course, given), left)]


def course(key: str) -> Course:
    return Course(key, 7, {"way": [key]})


def free(desk: Desk, *given: str) -> list[str]:
    return [each.key for each in desk.free(desk.foreseen(map(course, given), 100))]


def test_nobody_gets_what_another_makes_or_has_made():
    desk = Desk()
    desk.give(course("a"), 0)
    desk.came(1, made("b"))  # nobody had ordered it any more
    desk.came(None, made("c"))
    assert free(desk, "a", "b", "c", "d") == ["b", "d"]
    assert (desk.is_given("a"), desk.is_given("b"), desk.outstanding(0), desk.outstanding(1)) == (True, False, 1, 0)
    desk.came(0, made("a"))
    assert free(desk, "a", "b", "c", "d") == ["b", "d"]


def test_what_was_made_is_taken_once():
    desk = Desk()
    desk.give(course("a"), 0)
    desk.came(0, made("a"))
    desk.came(None, made("b"))
    assert [each is None for each in map(desk.take, ("a", "a", "b", "c"))] == [False, True, False, True]
    assert desk.figures == Figures(taken=1, before=1)


def test_what_a_worker_had_when_it_ended_is_free_again():
    desk = Desk()
    for key, worker in (("a", 0), ("b", 1), ("c", 0)):
        desk.give(course(key), worker)
    desk.lost(0)
    assert free(desk, "a", "b", "c") == ["a", "c"]
    assert desk.figures.lost == 2
    desk.close()
    assert desk.figures == Figures(lost=2, unused=1)


def test_what_is_not_waited_for_any_more_is_of_no_use_when_it_comes():
    desk = Desk()
    desk.give(course("a"), 0)
    desk.recall("a")
    desk.came(0, made("a"))
    assert desk.take("a") is None
    assert desk.figures.unused == 1


def test_what_an_execution_leads_to_comes_right_behind_it():
    """Also what that leads to, where it was made as well."""
    desk = Desk()
    desk.came(None, made("a", course("a1"), course("a2")))
    desk.came(None, made("a1", course("a11")))
    assert keys(desk, "a", "b") == ["a", "a1", "a11", "a2", "b"]
    assert keys(desk, "a", "b", left=2) == ["a", "a1"]


def test_nobody_goes_further_ahead_than_memory_bears():
    assert len(list(Desk().foreseen(map(Course.sample, count()), 1000))) == AHEAD


def test_what_was_made_is_the_same_as_a_line_of_json():
    one = made("a", course("a1"), Course.sample(3), trouble="no")
    line = one.dump()
    assert "\n" not in line
    again = Made.load(line.encode())
    assert again.dump() == line
    assert (again.key, again.broken, again.way, again.form) == (one.key, one.broken, one.way, one.form)
    assert [(each.key, each.plan, each.is_sample) for each in again.onward] == [
        ("a1", {"way": ["a1"]}, False),
        ("3", {}, True),
    ]
