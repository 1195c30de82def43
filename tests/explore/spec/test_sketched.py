"""A scenario that was made of a spec can be hunted as it stands, and its statements are those of the spec."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from helpers.lab_program import lab

from lab.explore.spec.reader import read_spec, spec_of
from lab.explore.spec.sketched import scenario_text, statements_of

SPECS = Path(__file__).parents[2] / "cases" / "specs" / "specs"


def test_statements_are_cut_at_semicolons_outside_strings_comments_names_and_bodies():
    sql = "SELECT 'a;''b', E'\\';', \";\"; -- one; two\nDO $x$ BEGIN ; END $x$;; /* ; */ SELECT $$;$$, 1-1, $1 ; "
    assert list(statements_of(sql)) == [
        "SELECT 'a;''b', E'\\';', \";\"",
        "-- one; two\nDO $x$ BEGIN ; END $x$",
        "/* ; */ SELECT $$;$$, 1-1, $1",
    ]


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.spec")), ids=lambda path: path.stem)
def test_every_sketch_is_python_with_an_actor_for_each_session(path):
    spec = read_spec(path)
    (cls,) = (each for each in ast.parse(scenario_text(spec)).body if isinstance(each, ast.ClassDef))
    methods = [each.name for each in cls.body if isinstance(each, ast.AsyncFunctionDef)]
    assert len(methods) == 3 + len(spec.sessions)


def test_names_that_python_does_not_have_are_changed_and_stay_apart():
    text = scenario_text(spec_of('session "1" step a {} session "class" step b {} session "CLASS" step c {}', "2-x"))
    assert "class Spec2X(Scenario)" in text
    assert [line.split("def ")[1].split("(")[0] for line in text.splitlines() if "async def session_" in line] == [
        "session_1",
        "session_class",
        "session_class_",
    ]


def test_the_sketch_of_a_spec_is_hunted_as_it_stands(tmp_path):
    """BEGIN and COMMIT are those of the session, at the level that the spec begins with."""
    done = lab("spec", str(SPECS / "withdrawals.spec"), "--as-scenario")
    assert done.returncode == 0
    assert 'isolation: ClassVar[str] = "SERIALIZABLE"' in done.stdout
    assert "BEGIN" not in done.stdout
    (tmp_path / "sketch.py").write_text(done.stdout)
    done = lab("hunt", "sketch:Withdrawals", "--executions", "10", "--no-remedies", "--no-fresh", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "40001" in done.stdout
