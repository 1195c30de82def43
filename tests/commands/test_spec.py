"""`lab spec`: exit status, what is compared with what, one sentence for what cannot be run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.lab_program import CASES, answer, environment, lab

SPECS = CASES / "specs"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of one's own: two specs and what is expected of them."""
    folder = tmp_path / "isolation"
    for name in ("markers", "withdrawals"):
        for kind, ending in (("specs", "spec"), ("expected", "out")):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            shutil.copy(SPECS / kind / f"{name}.{ending}", folder / kind)
    return folder


def test_what_is_expected_lies_beside_the_specs_or_where_it_is_said_and_may_have_alternates(suite, tmp_path):
    """Byte for byte: a single blank more is a difference, shown, and the exit status is 1."""
    done = lab("spec", "--suite", str(suite))
    assert done.returncode == 0
    assert [line.split("  ")[:2] for line in done.stdout.splitlines()[:2]] == [
        ["as expected", "markers"],
        ["as expected", "withdrawals"],
    ]
    assert done.stdout.splitlines()[2].startswith("2 of 2 as expected · 24 permutations, 7 lock waits, ")
    expected = suite / "expected" / "markers.out"
    right = expected.read_text()
    expected.write_text(right.replace("starting permutation: hold says", "starting permutation:  hold says"))
    file = str(suite / "specs" / "markers.spec")
    done = lab("spec", file)
    assert done.returncode == 1
    assert done.stdout.startswith("differs      markers  4 permutations, 7 lock waits, ")
    assert "    -starting permutation:  hold says tells free nothing\n" in done.stdout
    assert "    +starting permutation: hold says tells free nothing\n" in done.stdout
    (suite / "expected" / "markers_1.out").write_text(right)
    assert lab("spec", file).returncode == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "markers.out").write_text("nothing")
    assert lab("spec", file, "--expected", str(elsewhere)).returncode == 1


def test_the_order_is_that_of_the_schedule(suite):
    (suite / "isolation_schedule").write_text("# first\ntest: withdrawals\ntest: markers there_is_none\n")
    value = answer(lab("spec", "--json", env=environment(LAB_PG_SPECS=str(suite))))
    assert [(each["name"], each["verdict"], each["expected"]) for each in value["specs"]] == [
        ("withdrawals", "pass", "withdrawals.out"),
        ("markers", "pass", "markers.out"),
    ]


def test_where_nothing_is_expected_the_output_is_printed(tmp_path):
    file = tmp_path / "one.spec"
    file.write_text('session s1 step one { SELECT 1 AS "[bold]x"; }')
    done = lab("spec", str(file))
    assert done.returncode == 0
    assert done.stdout == (
        "Parsed test spec with 1 sessions\n\nstarting permutation: one\n"
        'step one: SELECT 1 AS "[bold]x";\n[bold]x\n-------\n      1\n(1 row)\n\n'
    )
    file.write_text("setup { nonsense } session s1 step one { SELECT 1; }")
    done = lab("spec", str(file))
    assert done.returncode == 3
    assert 'setup failed: ERROR:  syntax error at or near "nonsense"' in done.stdout


WRONG = {
    (): "name a .spec file, or a folder with PostgreSQL's suite by --suite or LAB_PG_SPECS",
    ("nothing.spec",): "there is no file nothing.spec",
    ("bad.spec",): "bad.spec:2:17: no step is called",
    ("bad.spec", "--suite", "."): "bad.spec:2:17: no step is called",
    ("--suite", "."): ". holds no specs: expected files specs/NAME.spec there",
    ("nothing", "--suite", "."): "there is no file nothing, and no specs/nothing.spec",
    ("good.spec", "--expected", "."): ". has no good.out",
    ("good.spec", "--search", "--scheduler", "random", "--preemptions", "1"): "has no option 'preemptions'",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_use_is_one_sentence(tmp_path, arguments):
    """Before any server is started."""
    (tmp_path / "bad.spec").write_text("session s1 step a {}\n  permutation   b")
    (tmp_path / "good.spec").write_text("session s1 step a {}")
    done = lab("spec", *arguments, cwd=tmp_path, env=environment(LAB_PG_SPECS=""))
    assert (done.returncode, done.stdout) == (2, "")
    assert WRONG[arguments] in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_server_that_is_not_there_is_no_verdict(tmp_path):
    (tmp_path / "good.spec").write_text("session s1 step a {}")
    done = lab("spec", "good.spec", "--url", "postgresql://nobody@localhost:1/none", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert len(done.stderr.splitlines()) == 1


def test_a_search_shows_the_outcomes_that_the_listed_permutations_miss(tmp_path):
    """As text with the permutation, and as data; that something was found is no failure."""
    (tmp_path / "counter.spec").write_text(
        "setup { CREATE TABLE counter (value int); INSERT INTO counter VALUES (0); }\n"
        "teardown { DROP TABLE counter; }\n"
        "session s1 step r1 { SELECT value FROM counter; }\n"
        "session s2 step w2 { UPDATE counter SET value = 10; }\n"
        "permutation r1 w2\n"
    )
    done = lab("spec", "counter.spec", "--search", cwd=tmp_path)
    assert done.returncode == 0
    _, _, searched = done.stdout.partition("search of ")
    assert searched.startswith(
        "counter: 2 executions, every order was run; 2 outcomes, 1 of them not in the listed permutations\n"
        "\nstarting permutation: w2 r1\n"
    )
    value = json.loads(lab("spec", "counter.spec", "--search", "--json", cwd=tmp_path).stdout)
    (spec,) = value["specs"]
    (new,) = spec["search"].pop("new")
    assert new["permutation"] == ["w2", "r1"]
    assert spec["search"] == {
        "executions": 2,
        "endless": 0,
        "orders": 2,
        "exhausted": True,
        "stopped": "",
        "outcomes": 2,
        "listed": 1,
    }
