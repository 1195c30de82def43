"""Statements as the story shows them."""

from __future__ import annotations

import pytest
from helpers.decided import step_of

from lab.model.trace import Action, ActionKind, LockWait, Result
from lab.report.sql import action_text, result_text, statement_text, step_text

COUNTED = (
    "INSERT INTO a (x, y) SELECT p0::INTEGER, p1::VARCHAR FROM (VALUES ($1::INTEGER, f(2, ','), 0), "
    "($2::INTEGER, ARRAY[1, 2], 1)) AS imp_sen(p0, p1, sen_counter) ORDER BY sen_counter RETURNING a.id"
)


@pytest.mark.parametrize(
    ("sql", "parameters", "text"),
    [
        ("SELECT a.x,\n  a.y\nFROM a\nWHERE a.id = $1::INTEGER", ("7",), "SELECT x, y FROM a WHERE id = 7"),
        ("SELECT a.x, b.y FROM a JOIN b ON a.id = b.a", (), "SELECT a.x, b.y FROM a JOIN b ON a.id = b.a"),
        ("SELECT count(*) AS count_1 FROM a", (), "SELECT count(*) FROM a"),
        (
            "SELECT 1 FROM a AS a_1, a AS a_2 WHERE a_1.id < a_2.id",
            (),
            "SELECT 1 FROM a AS a_1, a AS a_2 WHERE a_1.id < a_2.id",
        ),
        ("VALUES ($1::VARCHAR(20), $2::NUMERIC(10, 2))", ("'x'", "1.5"), "VALUES ('x', 1.5)"),
        ("SET x = $1::TIMESTAMP WITH TIME ZONE + $2::DOUBLE PRECISION", ("t", "2.0"), "SET x = t + 2.0"),
        ("x = ANY ($1::INTEGER[])", ("[1, 2]",), "x = ANY ([1, 2])"),
        ('x = $1::"Mood" AND y = $2::app.mood', ("'fine'", "'bad'"), "x = 'fine' AND y = 'bad'"),
        ("x = $1 AND y = $10 AND z = $11", tuple("abcdefghij"), "x = a AND y = j AND z = $11"),
        ("x = $1 AND y = $2", ("'$2'", "'b'"), "x = '$2' AND y = 'b'"),
        ("SELECT a.x WHERE a.y = 'a.b costs $1, isn''t it'", (), "SELECT x WHERE y = 'a.b costs $1, isn''t it'"),
        ("SET x=$1 WHERE a.id = $2", (("1", "2"), ("3", "4")), "SET x=1 WHERE id = 2, then x=3 WHERE id = 4"),
        ("VALUES ($1)", tuple((str(n),) for n in range(6)), "VALUES (0), then (1), (2), (3) …"),
        ("VALUES ($1)", (("1",),), "VALUES (1)"),
        ("DELETE FROM a WHERE a.id = $1", (("1",), ("2",)), "DELETE FROM a WHERE id = 1, then id = 2"),
        (
            "INSERT INTO a (x, y) VALUES ($1, f($2)) ON CONFLICT DO NOTHING",
            (("1", "2"), ("3", "4")),
            "INSERT INTO a (x, y) VALUES (1, f(2)) ON CONFLICT DO NOTHING, then (3, f(4))",
        ),
        ("SELECT nextval('s')", ((), ()), "SELECT nextval('s'), then again"),
        ("x = $1", (f"'{'a' * 100}'",), f"x = '{'a' * 58}…"),
        ("SELECT 1", (), "SELECT 1"),
        (
            "INSERT INTO job (id, runs) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET runs = job.runs + excluded.runs",
            ("1", "2"),
            "INSERT INTO job (id, runs) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET runs = runs + excluded.runs",
        ),
        (
            COUNTED,
            ("7", "8"),
            "INSERT INTO a (x, y) VALUES (7, f(2, ',')), (8, ARRAY[1, 2]) RETURNING id",
        ),
        ("DO UPDATE SET runs = excluded.runs", (), "DO UPDATE SET runs = excluded.runs"),
    ],
)  # fmt: skip
def test_a_statement_is_one_line_with_its_values_in_place(sql, parameters, text):
    """Placeholders and casts give way to values; literals, aliases in use and several tables stay readable."""
    assert statement_text(sql, parameters) == text


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (None, ""),
        (Result("SELECT 0"), "→ no row"),
        (Result("SELECT 1", (("5",),)), "→ 5"),
        (Result("SELECT 1", (("5", "'a'"),)), "→ (5, 'a')"),
        (Result("SELECT 5", tuple((str(n),) for n in range(5))), "→ 0, 1, 2 … (5 rows)"),
        (Result("SELECT 5", (("'a'",),) * 5), "→ 'a', 'a', 'a' … (5 rows)"),
        (Result("SELECT 1", ((f"'{'a' * 100}'", "1"),)), f"→ ('{'a' * 58}…, 1)"),
        (Result("FETCH", tuple((str(n),) for n in range(5))), "→ 0, 1, 2 …"),
        (Result("UPDATE 1"), "→ 1 row"),
        (Result("INSERT 0 2"), "→ 2 rows"),
        (Result("COMMIT"), ""),
        (Result(error="40001"), "→ error 40001"),
    ],
)
def test_an_answer_is_a_few_values_a_count_or_an_sqlstate(result, text):
    """Rows are cut after a few; what has no answer shows none."""
    assert result_text(result) == text


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (Action(ActionKind.COMMIT), "COMMIT"),
        (Action(ActionKind.SAVEPOINT, "sa_1"), "SAVEPOINT sa_1"),
        (Action(ActionKind.POINT, "read"), "point 'read'"),
        (Action(ActionKind.SLEEP, "0.5"), "sleep 0.5"),
        (Action(ActionKind.FETCH), "FETCH"),
    ],
)
def test_other_points_are_named_as_they_are(action, text):
    """Commits, savepoints, labels, sleeps and fetches."""
    assert action_text(action) == text


def test_a_wait_names_its_holder_and_what_it_is_for_and_its_end_says_so():
    """`<waits for …>`, `<… completed>`, and a wait that goes on."""
    wait = LockWait(("bob", "cleo"), "ShareLock", "row (0,1) of a")
    action = Action(ActionKind.STATEMENT, "UPDATE a SET x=1")
    step = step_of(1, "ann", ("ann",), action, wait=wait)
    assert step_text(step) == "UPDATE a SET x=1 <waits for bob and cleo: row (0,1) of a>"
    woken = step_of(2, "ann", ("ann",), action, woken=True, result=Result("UPDATE 1"))
    assert step_text(woken) == "<… completed> → 1 row"
    again = step_of(2, "ann", ("ann",), action, woken=True, wait=LockWait(("bob",)))
    assert step_text(again) == "<… completed> <waits again for bob>"


def test_a_huge_statement_is_cut_and_takes_no_time():
    """Thousands of rows in one INSERT, and a literal of a hundred thousand characters."""
    rows = ", ".join(f"(${2 * number + 1}, ${2 * number + 2})" for number in range(5000))
    many = Action(ActionKind.STATEMENT, f"INSERT INTO a (x, y) VALUES {rows}", tuple(map(str, range(10000))))
    text = step_text(step_of(1, "ann", ("ann",), many))
    assert text.startswith("INSERT INTO a (x, y) VALUES (0, 1), (2, 3), ")
    assert text.endswith("…")
    word = "a" * 100_000
    several = Action(ActionKind.STATEMENT, f"UPDATE a SET x='{word}', y=$1", (("1",), ("2",)))
    assert len(step_text(step_of(1, "ann", ("ann",), several))) <= 500
