"""Which line is shown for a race: that of its cause, else where the last statement was sent."""

from types import SimpleNamespace

import pytest

from lab.search.races.findings import line_of


def step(number, line, sql="UPDATE t"):
    return {"number": number, "sql": sql, "at": None if line is None else {"file": "shop.py", "line": line}}


READ, WRITE, UNKNOWN = step(1, 5, "SELECT"), step(2, 9), step(3, None)
COMMIT = step(4, 12, None)


@pytest.mark.parametrize(
    ("steps", "cause", "line"),
    [
        ([READ, WRITE, COMMIT], {"steps": [1, 2]}, "shop.py:9"),
        ([READ, WRITE, COMMIT], {"steps": [1, 3]}, "shop.py:5"),
        ([READ, WRITE, UNKNOWN, COMMIT], None, "shop.py:9"),
        ([READ, COMMIT], {"steps": [3]}, "shop.py:5"),
        ([UNKNOWN, COMMIT], None, "shop.py:12"),
        ([UNKNOWN], None, ""),
    ],
)
def test_it_is_that_of_the_cause_else_of_the_last_statement_and_of_an_end_only_where_there_is_no_other(
    steps, cause, line
):
    assert line_of(SimpleNamespace(story={"steps": steps}, cause=cause)) == line
