"""Results, errors and notices are printed to the byte as libpq does, whose rules are not those of psql."""

from __future__ import annotations

import pytest

from lab.explore.spec import printed
from lab.explore.spec.talk import Copying, Done, Gone, Heard, Notification, Rows, Said


def table(*values: str | None, name: str = "x") -> str:
    rows = tuple((None if value is None else value.encode(),) for value in values)
    return printed.part(Rows((name.encode(),), rows))


def test_widths_are_those_of_bytes():
    """An umlaut counts as two, as in C."""
    assert table("ä") == "x \n--\nä\n(1 row)\n\n"


@pytest.mark.parametrize(("value", "is_right"), [
    ("12", True), ("-1.5", True), (".5", True), ("1e5", True), ("1 2", True), ("2024-01-01", True),
    ("1e", False), ("e5", False), ("5-", False), ("+5", False), ("NaN", False), ("12 ", False), ("1:2", False),
])  # fmt: skip
def test_a_column_is_right_aligned_if_every_value_looks_like_a_number(value, is_right):
    """One that begins with an E or does not end with a digit does not."""
    assert table(value, name="a_long_name").splitlines()[2] == (value.rjust(11) if is_right else value.ljust(11))
    assert table(value, "x", name="a_long_name").splitlines()[2] == value.ljust(11)


def test_null_and_nothing_are_shown_as_nothing_and_tell_nothing_of_the_column():
    assert table(None, "", name="name") == "name\n----\n    \n    \n(2 rows)\n\n"
    assert table(None, "7", name="name").splitlines()[3] == "   7"


def test_a_result_without_columns_is_not_shown_and_one_without_rows_is():
    assert printed.part(Rows((), ((), ()))) == printed.part(Done()) == ""
    assert table() == "x\n-\n(0 rows)\n\n"


def test_an_error_of_a_step_is_its_severity_and_message_alone():
    fields = {"S": b"ERROR", "M": b"it broke", "D": b"more", "P": b"8"}
    assert printed.part(Said(error=True, fields=fields)) == "ERROR:  it broke\n"
    assert printed.part(Copying("OUT")) == "unexpected result status: PGRES_COPY_OUT\n"
    assert printed.part(Gone()).startswith("server closed the connection unexpectedly\n\tThis")


def test_elsewhere_a_message_has_all_that_libpq_shows():
    """The line with a mark under the place, which counts characters; the context of an error, not of a notice."""
    sql = "SELECT 1,\n\tä, nothing"
    fields = {"S": b"ERROR", "M": b"no such thing", "P": b"15", "D": b"d", "H": b"h", "W": b"w"}
    text = f"ERROR:  no such thing\nLINE 2:  ä, nothing\n{' ' * 12}^\nDETAIL:  d\nHINT:  h\n"
    message = Said(error=True, fields=fields)
    assert printed.said(message, sql, with_context=True) == f"{text}CONTEXT:  w\n"
    assert printed.notice("s1", message, sql) == f"s1: {text}"
    assert printed.failed("setup", [Done(), message], sql) == f"setup failed: {text}CONTEXT:  w\n"
    assert printed.failed("setup", [Done()], sql) == ""
    inner = Said(error=True, fields={"S": b"ERROR", "M": b"m", "p": b"3", "q": b"a b"})
    assert printed.said(inner, sql, with_context=True) == "ERROR:  m\nLINE 1: a b\n          ^\nQUERY:  a b\n"


def test_a_notification_names_its_sender():
    said = printed.notified("s1", Notification(7, b"news", b"x"), "PID 7")
    assert said == 's1: NOTIFY "news" with payload "x" from PID 7\n'


def message(kind: bytes, content: bytes = b"") -> bytes:
    return kind + (len(content) + 4).to_bytes(4, "big") + content


def test_messages_are_read_however_they_are_cut():
    """TCP may cut anywhere."""
    column = b"\0\1x\0" + bytes(18)
    stream = (
        message(b"T", column)
        + message(b"D", b"\0\1" + (3).to_bytes(4, "big") + b"abc")
        + message(b"D", b"\0\1\xff\xff\xff\xff")
        + message(b"N", b"SNOTICE\0Mhm\0\0")
        + message(b"C", b"SELECT 2\0")
        + message(b"I")
        + message(b"A", (7).to_bytes(4, "big") + b"news\0payload\0")
        + message(b"E", b"SERROR\0Mno\0\0")
        + message(b"Z", b"I")
    )
    for size in (1, 2, 7, len(stream)):
        heard = Heard()
        heard.busy = True
        for at in range(0, len(stream), size):
            assert heard.busy
            heard.read(stream[at : at + size])
        assert not heard.busy
        assert list(heard.parts) == [
            Said(error=False, fields={"S": b"NOTICE", "M": b"hm"}),
            Rows((b"x",), ((b"abc",), (None,))),
            Done(),
            Said(error=True, fields={"S": b"ERROR", "M": b"no"}),
        ]
        assert list(heard.notifications) == [Notification(7, b"news", b"payload")]
