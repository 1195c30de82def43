"""Outcomes: what is compared between replays, and what is masked because no schedule controls it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from lab.model.outcome import ActorResult, Ending, Mask, Outcome, ResultKind
from lab.model.server_time import ServerTime
from lab.model.virtual_time import SECOND, VirtualTime

STARTED = datetime.now(UTC) - timedelta(seconds=5)


def machine_time() -> int:
    return time.time_ns() // 1000


def server_time(began: datetime) -> ServerTime:
    return ServerTime(machine_time, since=int(began.timestamp()) * 1_000_000)


def outcome(**changes) -> Outcome:
    values = {
        "ending": Ending.COMPLETED,
        "results": {"alice": ActorResult(ResultKind.RETURNED, "1"), "bob": ActorResult(ResultKind.RAISED, "E: x")},
        "rows": {"account": ("(1,2)",)},
        **changes,
    }
    return Outcome(**values)


def test_equal_outcomes_have_equal_digests_whatever_the_order_of_their_tables():
    one = outcome(rows={"a": ("(1)",), "b": ()})
    other = outcome(rows={"b": (), "a": ("(1)",)})
    assert one == other
    assert one.digest() == other.digest()
    assert len(one.digest()) == 12


@pytest.mark.parametrize(
    "change",
    [
        {"ending": Ending.DEADLOCKED},
        {"rows": {"account": ("(1,3)",)}},
        {"rows": {"account": ("(1,2)", "(1,2)")}},
        {"results": {"alice": ActorResult(ResultKind.RETURNED, "2"), "bob": ActorResult(ResultKind.RAISED, "E: x")}},
        {"results": {"alice": ActorResult(ResultKind.RETURNED, "1"), "bob": ActorResult(ResultKind.ABORTED, "E: x")}},
    ],
)
def test_what_differs_shows_in_comparison_and_digest(change):
    assert outcome(**change) != outcome()
    assert outcome(**change).digest() != outcome().digest()


def test_live_objects_take_no_part_in_comparison():
    one = ActorResult(ResultKind.RETURNED, "x", value=object(), error=None)
    other = ActorResult(ResultKind.RETURNED, "x", value=object(), error=ValueError())
    assert one == other


def test_committed_are_those_that_returned():
    assert outcome().committed == ("alice",)
    assert outcome().results["alice"].returned
    assert not outcome().results["bob"].aborted


def test_without_a_fault_only_those_that_returned_may_have_done_it():
    assert outcome().possible == (frozenset({"alice"}),)


def test_who_was_struck_and_did_not_return_is_in_doubt():
    """Alice was struck and returned all the same; bob ended with an error, so what it wanted is done or not."""
    doubtful = outcome(struck=("alice", "bob"))
    assert doubtful.in_doubt == ("bob",)
    assert doubtful.possible == (frozenset({"alice"}), frozenset({"alice", "bob"}))


@pytest.mark.parametrize(
    "text",
    [
        "{now:%Y-%m-%d %H:%M:%S.%f+00}",
        "{now:%Y-%m-%dT%H:%M:%S.%f+00:00}",
        "{now:%Y-%m-%d %H:%M:%S.%f}",
        "{now:%Y-%m-%dT%H:%M:%SZ}",
        '(1,"{now:%Y-%m-%d %H:%M:%S.%f+00}",x)',
    ],
)
def test_a_moment_within_the_execution_is_taken_for_the_clock(text):
    mask = Mask(server_time(STARTED))
    masked = mask(text.format(now=datetime.now(UTC) - timedelta(seconds=1)))
    assert "<now>" in masked
    assert "20" not in masked
    assert mask.found == {"a clock value"}


def test_a_moment_in_another_zone_is_taken_for_the_clock():
    now = (datetime.now(UTC) - timedelta(seconds=1)).astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert Mask(server_time(STARTED))(now.isoformat()) == "<now>"


@pytest.mark.parametrize("zone", [None, UTC, *(timezone(timedelta(hours=h, minutes=30)) for h in (5, -4))])
@pytest.mark.parametrize("precision", [{}, {"microsecond": 0}, {"second": 0, "microsecond": 0}])
def test_a_moment_as_python_shows_it_is_taken_for_the_clock(zone, precision):
    """As in what an actor returns, and in the rows of its statements; without the parts that are zero."""
    moment = (datetime.now(UTC) - timedelta(seconds=1)).replace(**precision)
    shown = moment.replace(tzinfo=None) if zone is None else moment.astimezone(zone)
    mask = Mask(server_time(moment - timedelta(seconds=1)))
    assert mask(f"Event(made={shown!r}, n=2026)") == "Event(made=<now>, n=2026)"
    assert mask.found == {"a clock value"}
    assert mask(repr(shown - timedelta(days=1))) == repr(shown - timedelta(days=1))


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-01 00:00:00+00",
        "2999-01-01 00:00:00",
        "0001-01-01 00:00:00+14",
        "9999-12-31 23:59:59-12:00",
        "datetime.datetime(1, 1, 1, 0, 0, tzinfo=datetime.timezone(datetime.timedelta(seconds=3600)))",
        "2024-13-45 99:00:00",
        "1-2-3",
        "datetime.datetime(2026, 13, 1, 0, 0)",
    ],
)
def test_times_that_a_scenario_sets_itself_stay(text):
    for known in ("", text):
        mask = Mask(server_time(STARTED), known)
        assert mask(text) == text
        assert not mask.found


@pytest.mark.parametrize("text", ["{0:%Y-%m-%d %H:%M:%S.%f+00}", "{0!r}", "{1}"])
def test_a_moment_that_rows_held_before_stays_however_many_steps_there_were(text):
    """By its microseconds it could be the clock's from some number of steps on: two orders would hold other rows."""
    clock = VirtualTime(int(datetime.now(UTC).timestamp()))
    for steps in range(20):
        number = clock.began - 86_400 * SECOND + 5
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=number)
        held = f"(1,'{moment:%Y-%m-%d %H:%M:%S.%f+00}',{number})"
        shown = text.format(moment, number)
        assert Mask(server_time(STARTED), held, clock)(shown) == shown, steps
        clock.step()
    assert Mask(server_time(STARTED), "", clock)(shown) == "<now - 86400 s>"


def test_a_moment_that_a_setup_took_from_the_clock_is_a_moment_of_the_clock():
    clock = VirtualTime(int(datetime.now(UTC).timestamp()))
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=clock.began)
    shown = f"{moment:%Y-%m-%d %H:%M:%S.%f+00}"
    assert Mask(server_time(STARTED), f"(1,'{shown}')", clock)(shown) == "<now>"


def test_new_uuids_are_numbered_in_the_order_of_their_appearance():
    one, two = "6ba7b810-9dad-41d1-80b4-00c04fd430c8", "6ba7b811-9dad-41d1-80b4-00c04fd430c8"
    known = "00000000-0000-4000-8000-000000000001"
    mask = Mask(server_time(STARTED), known=f"rows {known}")
    assert mask(f"{one} {two} {one} {known}") == f"<uuid 1> <uuid 2> <uuid 1> {known}"
    assert mask.found == {"a generated UUID"}


def test_memory_addresses_go():
    assert Mask(server_time(STARTED))("<object object at 0x7f0001>") == "<object object>"
    assert Mask(server_time(STARTED))("meet me at 0x") == "meet me at 0x"
