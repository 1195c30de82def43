"""Which statements leave their session as they found it, as far as their texts say."""

from __future__ import annotations

import pytest

from lab.postgres.statements.tidy import draws, is_tidy, keeps_tidy

FUNCTIONS = frozenset({"sum", "lower", "coalesce", "now", "current_setting"})

TIDY = [
    "SELECT account.id, account.balance \nFROM account \nWHERE account.id = $1::INTEGER FOR UPDATE",
    "SELECT sum(balance) FROM account",
    "INSERT INTO entry (account_id, amount) VALUES ($1::INTEGER, $2::INTEGER) RETURNING entry.id",
    "INSERT INTO entry (a) SELECT p0::INTEGER FROM (VALUES ($1, 0)) AS imp_sen(p0, sen_counter) ORDER BY sen_counter",
    "UPDATE account SET balance=$1::INTEGER WHERE account.id = $2::INTEGER;",
    "DELETE FROM account WHERE id IN (1, 2)",
    "SELECT nextval('entry_id_seq')",
    "SELECT pg_advisory_xact_lock(1)",
    "SELECT pg_catalog.lower('A')",
]
UNTIDY = [
    "SET search_path = other",
    "SELECT set_config('timezone', 'UTC', false)",
    "SELECT \"set_config\" ('timezone', $1, false)",
    "SELECT set_config/**/('timezone', 'UTC', false)",
    "SELECT set_config -- a setting\n('timezone', 'UTC', false)",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock(1)",
    "SELECT lastval()",
    "SELECT currval('entry_id_seq')",
    "SELECT setval('entry_id_seq', 7)",
    "SELECT count(*) FROM pg_prepared_statements",
    "UPDATE pg_settings SET setting = 'off' WHERE name = 'jit'",
    "SELECT id INTO TEMP other FROM account",
    "SELECT unknown(1)",
    "SELECT 1; SET timezone = 'UTC'",
    "CREATE TEMP TABLE other (id int)",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE ALL",
    "DISCARD ALL",
    "LISTEN news",
    "LOCK TABLE account",
    "TRUNCATE account",
    "DO $$ BEGIN PERFORM 1; END $$",
    "CALL procedure()",
    "COPY account TO STDOUT",
]


@pytest.mark.parametrize("sql", TIDY)
def test_a_query_or_change_that_calls_nothing_of_its_own_is_tidy(sql):
    assert is_tidy(sql, FUNCTIONS)


@pytest.mark.parametrize("sql", UNTIDY)
def test_what_a_session_keeps_needs_a_command_or_a_call_that_is_not_tidy(sql):
    assert not is_tidy(sql, FUNCTIONS)


@pytest.mark.parametrize(
    ("sql", "drawing"),
    [
        ("INSERT INTO entry (amount) VALUES (1)", True),
        ("SELECT nextval('s')", True),
        ("UPDATE entry SET id = DEFAULT", True),
        ("UPDATE entry SET amount = 1", False),
        ("SELECT amount FROM entry", False),
    ],
)
def test_only_what_may_draw_a_number_makes_the_session_forget_it(sql, drawing):
    assert draws(sql) is drawing


@pytest.mark.parametrize(
    ("sources", "expressions", "views", "tidy"),
    [
        ([], ["nextval('s'::regclass)", "0", "now()", "(amount > 0)"], ["SELECT a.id FROM a;"], True),
        (["BEGIN SET timezone TO 'UTC'; END"], [], [], False),
        ([], ["set_config('a.b', 'c', false)"], [], False),
        ([], [], [" SELECT set_config('a.b', 'c', false) AS set_config;"], False),
        ([], [], [None], False),
    ],
)
def test_what_a_catalog_calls_behind_a_statement_counts(sources, expressions, views, tidy):
    assert keeps_tidy(FUNCTIONS, sources, expressions, views) is tidy
