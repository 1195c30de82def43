"""Which pairs of recorded requests are raced, and which first."""

from dataclasses import replace

from lab.search.races.named import touched_by
from lab.search.races.pairs import TIMES, Kind, pairs_of, ranked
from lab.search.races.sent import Recording, Request
from lab.search.races.states import State
from lab.search.races.touched import Touched
from lab.search.races.trials import Trials

STATE = State("shop", "", "rows", ("customers", "orders", "audit.log"), frozenset({("orders", "customers")}))
APP = object()


def sent(path, *, read=(), written=(), status=200, app=APP, state=STATE, trouble="", answer=""):
    touched = Touched(frozenset(read), frozenset(written), 1)
    url, known = f"http://shop{path}", {"state": state, "touched": touched, "status": status, "trouble": trouble}
    return Request(test="test_it", method="POST", url=url, app=app, **known, answer=answer)


def recording(*all_sent):
    return Recording("test_it", [replace(each, number=number) for number, each in enumerate(all_sent, 1)])


def test_a_request_is_raced_against_itself_the_next_one_and_later_ones_behind_what_lies_between():
    one, two, three = recording(sent("/1"), sent("/2"), sent("/3")).sent
    pairs = list(pairs_of(Recording("test_it", [one, two, three])))
    assert [(each.kind, each.first, each.second, each.between) for each in pairs] == [
        (Kind.TWICE, one, one, ()),
        (Kind.AT_ONCE, one, two, ()),
        (Kind.SAME_TABLES, one, three, (two,)),
        (Kind.TWICE, two, two, ()),
        (Kind.AT_ONCE, two, three, ()),
        (Kind.TWICE, three, three, ()),
    ]


def test_two_requests_that_only_read_or_write_other_tables_are_never_raced_and_it_is_said_why():
    reads, writes = sent("/read", read=["orders"]), sent("/write", written=["customers"])
    worth, skipped = ranked([recording(reads, writes)])
    assert [each.title for each in worth] == [f"POST /write {TIMES} itself"]
    assert [(each.pair.title, each.why) for each in skipped] == [
        (f"POST /read {TIMES} itself", "both only read"),
        (f"POST /read {TIMES} POST /write", "neither writes a table that the other touches"),
    ]


def test_what_both_read_and_write_comes_before_what_one_only_reads():
    reads = sent("/read", read=["customers"])
    writes = sent("/write", read=["customers"], written=["customers"])
    blind = sent("/blind", written=["customers"])
    worth, _ = ranked([recording(reads, writes, blind)])
    assert worth[0].title == f"POST /write {TIMES} itself"
    assert {each.title for each in worth[-2:]} == {f"POST /read {TIMES} POST /write", f"POST /read {TIMES} POST /blind"}


def test_each_two_requests_are_raced_once_before_any_two_are_raced_from_another_state():
    writes, later = (
        sent("/1", written=["customers"]),
        sent("/1", written=["customers"], state=replace(STATE, script="!")),
    )
    other = sent("/2", written=["orders"])
    worth, _ = ranked([recording(writes), recording(later), recording(other)])
    assert [each.title for each in worth] == [
        f"POST /1 {TIMES} itself",
        f"POST /2 {TIMES} itself",
        f"POST /1 {TIMES} itself",
    ]


def test_what_was_found_racy_waits_from_its_other_states_until_all_others_had_their_turn():
    writes, other = sent("/1", written=["customers"]), sent("/2", written=["orders"])
    worth, _ = ranked(
        [recording(replace(each, state=replace(STATE, script=rows))) for each in (writes, other) for rows in "abc"]
    )
    trials, turns = Trials(None, ""), []
    for pair in trials.in_turn(worth):
        turns.append((pair.first.path, pair.first.state.script))
        if pair.first.path == "/1":
            trials.racy.add(pair.title)
    assert [path for path, _ in turns] == ["/1", "/2", "/2", "/2", "/1", "/1"]
    assert len(set(turns)) == len(worth) == 6


def test_the_same_race_of_two_tests_is_made_once():
    writes = sent("/1", written=["customers"])
    worth, _ = ranked([recording(writes), recording(writes)])
    assert len(worth) == 1


def test_a_request_before_which_the_rows_are_not_known_is_not_raced():
    _, skipped = ranked([recording(sent("/1", written=["customers"], state=None, trouble="nobody knows"))])
    assert [each.why for each in skipped] == ["nobody knows"]


def test_tables_are_read_out_of_statements():
    statements = [
        "BEGIN",
        "SELECT \"customers\".id FROM customers WHERE name = 'orders'",
        "INSERT INTO orders (customer_id) VALUES ($1)",
        "SELECT * FROM audit.log FOR UPDATE",
    ]
    touched = touched_by(statements, STATE)
    assert touched.read == {"customers", "orders", "audit.log"}
    assert touched.written == {"orders", "audit.log"}
    assert touched.statements == 3


def test_a_row_that_names_another_by_a_foreign_key_reads_that_table():
    assert touched_by(["INSERT INTO orders (customer_id) VALUES ($1)"], STATE).read == {"orders", "customers"}


def test_who_names_an_id_that_only_the_first_answer_told_is_raced_last():
    makes = sent("/orders", read=["orders"], written=["orders"], answer='{"id": 7}')
    pays = sent("/orders/7/pay", read=["orders"], written=["orders"])
    worth, _ = ranked([recording(makes, pays)])
    assert [each.foretells for each in worth] == [False, False, True]
