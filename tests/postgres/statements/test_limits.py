"""Limits of time are known by the words of statements and of connections."""

from __future__ import annotations

import pytest

from lab.postgres.statements.limits import limits_of, limits_set

SET = {
    "SET lock_timeout = 100": [("lock_timeout", True)],
    "SET LOCAL lock_timeout TO '2s'": [("lock_timeout", True)],
    "set session Statement_Timeout='1min'": [("statement_timeout", True)],
    'SET "lock_timeout" = 100': [("lock_timeout", True)],
    "SET /* as the team has it */ LOCAL lock_timeout = 1": [("lock_timeout", True)],
    "SELECT set_config('transaction_timeout', '5s', true)": [("transaction_timeout", True)],
    "SELECT set_config( 'lock_timeout' , $1, true)": [("lock_timeout", True)],
    "SET lock_timeout = 0; SET idle_session_timeout = 5": [("lock_timeout", False), ("idle_session_timeout", True)],
    "SET lock_timeout = '0ms'": [("lock_timeout", False)],
    "SET lock_timeout TO DEFAULT": [("lock_timeout", False)],
    "SET deadlock_timeout = '1s'": [],
    "SHOW lock_timeout": [],
    "UPDATE account SET balance = 1": [],
    "-- SET lock_timeout = 1\nSELECT 1": [],
}


@pytest.mark.parametrize("text", SET)
def test_a_statement_says_which_limits_it_sets(text):
    assert list(limits_set(text)) == SET[text]


def test_a_parameter_may_name_one():
    text = "SELECT set_config($1, $2, $3)"
    assert list(limits_set(text, ["statement_timeout", "5s", True])) == [("statement_timeout", True)]
    assert list(limits_set(text, ["search_path", "shop", True])) == []
    assert list(limits_set("SELECT $1", ["statement_timeout"])) == []


@pytest.mark.parametrize(
    ("options", "settings", "limits"),
    [
        ({}, {"lock_timeout": "0", "application_name": "shop"}, set()),
        ({}, {"lock_timeout": "2s", "deadlock_timeout": "1ms"}, {"lock_timeout"}),
        ({}, {"options": "-c search_path=x -c statement_timeout=5s"}, {"statement_timeout"}),
        ({}, {"options": "--lock_timeout=5 -clock_timeout=0"}, {"lock_timeout"}),
        ({"command_timeout": 5}, {}, {"command_timeout"}),
        ({"command_timeout": None}, {}, set()),
    ],
)
def test_a_connection_may_begin_with_some(options, settings, limits):
    assert limits_of(options, settings) == limits
