"""A search has just the outcomes that PostgreSQL's isolationtester shows when it is given every order, spec by spec.

The specs are PostgreSQL's, which are not the project's: `LAB_PG_SPECS` says where they are. The oracle shares nothing
with the lab but the reader of specs: isolationtester runs all orders, and its output is cut into answers here.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.lab_program import answer, lab
from helpers.servers import Foreign, foreign_server, programs_of

from lab.explore.spec.reader import read_spec
from lab.explore.spec.values import Spec, orders

SUITE = Path(os.environ.get("LAB_PG_SPECS") or "/nowhere")
TESTER = Path("/usr/lib/postgresql/15/lib/pgxs/src/test/isolation/isolationtester")
ALL_LISTED = ("classroom-scheduling", "simple-write-skew", "index-only-scan")
"""Their files name every order, or none, which means all."""
FEW_LISTED = {
    "fk-partitioned-2": 1,
    "insert-conflict-do-nothing": 1,
    "insert-conflict-do-update": 1,
    "insert-conflict-do-update-2": 1,
    "insert-conflict-do-update-3": 2,
    "lock-update-traversal": 10,
    "read-write-unique": 2,
}
"""And how many outcomes the listed permutations miss."""
Outcome = frozenset[tuple[str, str]]
"""The answer of each step, by its name."""

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not SUITE.is_dir(), reason="LAB_PG_SPECS names no folder of PostgreSQL's specs"),
    pytest.mark.skipif(not TESTER.exists(), reason="there is no isolationtester of PostgreSQL 15 here"),
]


@pytest.fixture(scope="module")
def fifteen() -> Iterator[Foreign]:
    programs = programs_of(15)
    assert programs is not None
    with foreign_server(programs) as server:
        yield server


def outcomes(spec: Spec, output: str) -> set[Outcome]:
    """Of what a runner printed; orders in which a step waited for its own session's next one never end."""
    sql = {step.name: step.sql for session in spec.sessions for step in session.steps}
    found = set()
    for permutation in re.split(r"^starting permutation: ", output, flags=re.MULTILINE)[1:]:
        if "isolationtester: canceling step" in permutation:
            continue
        answers: dict[str, str] = {}
        _, *parts = re.split(r"^step (\w+): ", permutation, flags=re.MULTILINE)
        for name, told in zip(parts[::2], parts[1::2], strict=True):
            said = told.removeprefix(sql[name])
            if said.startswith(" <waiting ...>"):
                continue
            answers[name] = said.removeprefix("<... completed>").strip()
        assert answers, permutation
        found.add(frozenset(answers.items()))
    return found


def by_isolationtester(server: Foreign, text: str) -> str:
    server.sql("DROP DATABASE IF EXISTS orders", "CREATE DATABASE orders TEMPLATE template0")
    env = {**os.environ, "PGISOLATIONTIMEOUT": "2", "PGAPPNAME": "isolation/orders"}
    target = f"host={server.folder} user=owner dbname=orders"
    done = subprocess.run(
        [TESTER, target], input=text, capture_output=True, text=True, timeout=300, check=True, env=env
    )
    return done.stdout


def with_all_orders(spec: Spec, text: str) -> str:
    """The file's text with every order of what its permutations do in place of these."""
    programs = dict.fromkeys(map(spec.program_of, spec.permutations))
    listed = (f"permutation {' '.join(step.name for step in order)}" for each in programs for order in orders(each))
    return "\n".join([re.split(r"^permutation\b", text, maxsplit=1, flags=re.MULTILINE)[0], *listed, ""])


@pytest.mark.parametrize("name", [*ALL_LISTED, *FEW_LISTED])
def test_a_search_has_the_outcomes_of_all_orders_and_no_other(fifteen, name):
    file = SUITE / "specs" / f"{name}.spec"
    spec, text = read_spec(file), file.read_text()
    [one] = answer(lab("spec", str(file), "--url", fifteen.url(), "--search", "--json"))["specs"]
    search = one["search"]
    assert one["verdict"] == "pass"
    assert search["exhausted"]
    every = outcomes(spec, by_isolationtester(fifteen, with_all_orders(spec, text)))
    listed = outcomes(spec, by_isolationtester(fifteen, text))
    new = set().union(*(outcomes(spec, each["output"]) for each in search["new"]))
    assert len(new) == len(search["new"]) == FEW_LISTED.get(name, 0)
    assert new == every - listed
    assert search["outcomes"] == len(every)
