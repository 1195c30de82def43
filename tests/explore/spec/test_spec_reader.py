"""Specs are read as PostgreSQL's own grammar has them, and what is none is refused with line and column."""

from __future__ import annotations

import pytest

from lab.errors import UsageError
from lab.explore.spec.reader import read_spec, spec_of
from lab.explore.spec.values import Call, Marker, MarkerKind, SpecStep, number_of_orders, orders

WHOLE = """
# a comment with { and "
setup { CREATE TABLE t (x int); }
setup
{
    INSERT INTO t VALUES (1)  \t}
teardown { DROP TABLE t; }
session "a ""quoted"" one" setup { BEGIN; } step one { SELECT '#'; } # more
step "step" { SELECT 2; } teardown { ROLLBACK; }
session s2 step größe$1 { }
permutation one(*) größe$1(one notices 2, "step") "step"
permutation "step" one one
"""


def test_everything_that_the_grammar_has_is_read():
    """Blanks beside braces go, line ends stay; quotes are doubled in names; a name may be a word of the grammar."""
    spec = spec_of(WHOLE, "whole")
    assert spec.setups == ("CREATE TABLE t (x int);", "\n    INSERT INTO t VALUES (1)")
    assert spec.teardown == "DROP TABLE t;"
    first, second = spec.sessions
    assert (first.name, first.setup, first.teardown) == ('a "quoted" one', "BEGIN;", "ROLLBACK;")
    one, two, three = (*first.steps, *second.steps)
    assert (one, two) == (SpecStep("one", "SELECT '#';", 0), SpecStep("step", "SELECT 2;", 0))
    assert three == SpecStep("größe$1", "", 1)
    markers = (Marker(MarkerKind.NOTICES, one, 2), Marker(MarkerKind.STEP, two))
    assert spec.listed == (
        (Call(one, (Marker(MarkerKind.ONCE),)), Call(three, markers), Call(two)),
        (Call(two), Call(one), Call(one)),
    )
    assert list(spec.permutations) == list(spec.listed)


def test_where_no_permutation_is_listed_all_are_meant_those_first_that_begin_with_the_first_session():
    spec = spec_of("session a step a1 {} step a2 {} session b step b1 {} step b2 {}", "all")
    names = [" ".join(call.step.name for call in permutation) for permutation in spec.permutations]
    assert names == [
        "a1 a2 b1 b2",
        "a1 b1 a2 b2",
        "a1 b1 b2 a2",
        "b1 a1 a2 b2",
        "b1 a1 b2 a2",
        "b1 b2 a1 a2",
    ]
    assert spec.unused == ()


@pytest.mark.parametrize("lengths", [(1,), (2, 3), (2, 0, 2, 1)])
def test_the_number_of_orders_is_that_of_the_orders(lengths):
    program = tuple(tuple(SpecStep(f"{at}.{each}", "", at) for each in range(n)) for at, n in enumerate(lengths))
    assert number_of_orders(program) == len(set(orders(program))) == len(list(orders(program)))


def test_steps_that_no_permutation_names_are_told_in_the_order_of_their_bytes():
    spec = spec_of("session a step b {} step ä {} step a {} step C {} permutation b", "unused")
    assert spec.unused == ("C", "a", "ä")


WRONG = {
    "session s1 { }": "1:12: expected setup or step, and met { }",
    "session s1 step a {\n SELECT 1": "1:19: this SQL block has no closing brace",
    'session "s1\n" step a {}': "1:9: this quoted name has no closing quote in its line",
    "session s1\nstep a {} step a {}": '2:16: another step is called "a"',
    "session s1 step a {}\n  permutation b": '2:15: no step is called "b"',
    "session s1 step a {} permutation a(x)": '1:36: a marker names no step: "x"',
    "session s1 step a {} session s2 step b {} permutation a(b)": 'a marker names step "b", which is not in this',
    "session s1 step a {} step b {} permutation a(b) b": 'step "a" cannot wait for "b" of its own session',
    "session s1 step a {} permutation a(a notices)": "1:45: expected a number, and met )",
    "session step step a {}": "1:9: expected a name, and met step",
    "session s1 step a {} ?": "1:22: no part of a spec begins with '?'",
    "setup {}": "1:9: expected session or setup or teardown, and met the end of the file",
    "session s1 step a {} permutation": "expected a name, and met the end of the file",
    "session s1 step a {} setup {}": "1:22: expected permutation or session or step or teardown or the end of the file",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_spec_is_refused_with_its_place(text):
    with pytest.raises(UsageError) as refused:
        spec_of(text, "wrong", "folder/wrong.spec")
    said = str(refused.value)
    assert said.startswith("folder/wrong.spec:")
    assert WRONG[text] in said
    assert "\n" not in said


def test_a_file_is_named_without_its_ending_and_may_hold_any_bytes(tmp_path):
    file = tmp_path / "some-name.spec"
    file.write_bytes(b"session s1 step a { SELECT '\xff'; }")
    spec = read_spec(file)
    assert spec.name == "some-name"
    assert spec.sessions[0].steps[0].sql.encode("utf-8", "surrogateescape") == b"SELECT '\xff';"
    with pytest.raises(UsageError, match=r"cannot read .*nothing\.spec: No such file"):
        read_spec(tmp_path / "nothing.spec")
