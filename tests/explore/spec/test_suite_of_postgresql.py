"""PostgreSQL 15's own suite on a PostgreSQL 15 server: every spec prints what is expected, byte for byte.

Its files are not the project's: `LAB_PG_SPECS` says where they are, and without it nothing is run here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.lab_program import answer, lab
from helpers.servers import Foreign, foreign_server, programs_of

from lab.explore.spec.expected import in_suite

SUITE = Path(os.environ.get("LAB_PG_SPECS") or "/nowhere")
PROGRAMS = programs_of(15)
SPECS, PERMUTATIONS, LOCK_WAITS = 117, 3038, 649
"""Of release 15, as its expected output has them."""
TOGETHER = 20
"""Specs that one command line runs: all of them would take longer than the bound of one, on a busy machine."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not SUITE.is_dir(), reason="LAB_PG_SPECS names no folder of PostgreSQL's specs"),
    pytest.mark.skipif(PROGRAMS is None, reason="there is no PostgreSQL 15 here"),
]


@pytest.fixture(scope="module")
def fifteen() -> Iterator[Foreign]:
    assert PROGRAMS is not None
    with foreign_server(PROGRAMS, settings={"max_prepared_transactions": "2"}) as server:
        yield server


@pytest.mark.parametrize("run", range(3))
def test_every_spec_prints_what_is_expected(fifteen, run):
    names = [path.stem for path in in_suite(SUITE)]
    specs = []
    for at in range(0, len(names), TOGETHER):
        done = lab("spec", *names[at : at + TOGETHER], "--suite", str(SUITE), "--url", fifteen.url(), "--json")
        specs += answer(done)["specs"]
    assert len(specs) == SPECS
    assert [each["name"] for each in specs if each["verdict"] != "pass" or not each["compared"]] == []
    assert sum(each["permutations"] for each in specs) == PERMUTATIONS
    assert sum(each["lock_waits"] for each in specs) == LOCK_WAITS
