"""Long lists of columns are cut; short ones, and what is no plain list, stay as they are."""

from __future__ import annotations

import pytest

from lab.report.columns import Columns

ABOUT = Columns(frozenset({"id", "stock"}))


@pytest.mark.parametrize(
    ("statement", "cut"),
    [
        ("SELECT id, a, b, c, stock FROM item", "SELECT id, stock, … FROM item"),
        ("SELECT id, a, b, stock FROM item", "SELECT id, a, b, stock FROM item"),
        ("SELECT a, b, c, d, e FROM item", "SELECT a, … FROM item"),
        ("SELECT i.id, i.a, i.b, o.stock, o.c FROM i JOIN o", "SELECT i.id, o.stock, … FROM i JOIN o"),
        ("SELECT i.id AS i_id, i.a, i.b, i.c, i.d FROM i", "SELECT i.id AS i_id, … FROM i"),
        ('SELECT "id", "a b", b, c, d FROM item', 'SELECT "id", … FROM item'),
        ("SELECT count(id), a, b, c, d FROM item", "SELECT count(id), a, b, c, d FROM item"),
        (
            "INSERT INTO item (id, a, b, c, stock) VALUES ($1, f(1, 2), 'x, y', ARRAY[1, 2], $2::NUMERIC(10, 2))",
            "INSERT INTO item (id, stock, …) VALUES ($1, $2::NUMERIC(10, 2), …)",
        ),
        (
            "INSERT INTO item (a, b, c, d, stock) VALUES (1, 2, 3, 4, 5) RETURNING id, a, b, c, d",
            "INSERT INTO item (stock, …) VALUES (5, …) RETURNING id, …",
        ),
        (
            "INSERT INTO item (id, a, b, c, d) VALUES (1, 2, 3, 4, 5), (6, 7, 8, 9, 0)",
            "INSERT INTO item (id, …) VALUES (1, …), (6, …)",
        ),
        (
            "INSERT INTO item (id, a, b, c, d) VALUES (1, 2, 3, 4, 5), (6, 7, 8)",
            "INSERT INTO item (id, a, b, c, d) VALUES (1, 2, 3, 4, 5), (6, 7, 8)",
        ),
    ],
)
def test_a_long_list_is_cut_to_what_matters_and_all_else_stays(statement, cut):
    assert ABOUT.cut(statement) == cut
    assert Columns().cut(statement) == statement


def test_what_matters_is_read_off_the_statements():
    """What stands outside of lists, and the keys."""
    columns = Columns.of(
        [
            "SELECT id, a, b, c, d FROM item WHERE id = 1 ORDER BY a",
            "UPDATE item SET b=2",
            "INSERT INTO item (id, a, b, c, d) VALUES (1, 2, 3, 4, 5) ON CONFLICT (e) DO NOTHING RETURNING f, g",
        ],
        {"key"},
    )
    assert columns.names is not None
    assert columns.names & {"id", "a", "b", "c", "d", "e", "f", "g", "key"} == {"id", "a", "b", "e", "key"}


def test_a_row_that_is_not_of_the_list_is_shown_whole():
    asked = "SELECT id, a, b, c, stock FROM item"
    assert ABOUT.row(asked, ("1", "2", "3", "4", "5")) == ("1", "5", "…")
    assert ABOUT.row(asked, ("1", "2")) == ("1", "2")
    assert ABOUT.row("SHOW all", ("1", "2", "3", "4", "5")) == ("1", "2", "3", "4", "5")
