"""The names that `lab` hands out: all there, typed, and loaded when they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import lab

ROOT = Path(lab.__file__).parents[1]
USER = """
from lab import ActorResult, ExecutionRecord, Lab, Outcome, Scenario, Violation, claim, schedules


async def test_transfer(lab: Lab, scenario: Scenario) -> None:
    record: ExecutionRecord = await lab.check(scenario)
    outcome: Outcome = record.outcome
    alice: ActorResult = outcome.results["alice"]
    text: str = alice.text
    reveal_type(lab.hunt)
    wrong: int = record.outcome
    await lab.check("no scenario")
"""


def test_every_name_is_there_in_the_table_and_for_type_checkers():
    """Three lists name them, since type checkers read no table: they are held to be the same."""
    tree = ast.parse(Path(lab.__file__).read_text())
    typed = {
        alias.name
        for block in tree.body if isinstance(block, ast.If)
        for each in block.body if isinstance(each, ast.ImportFrom)
        for alias in each.names
    }  # fmt: skip
    assert set(lab.__all__) == typed == set(lab._PLACES)
    assert lab.__all__ == sorted(lab.__all__, key=lambda name: (not name[0].isupper(), name))
    for name in lab.__all__:
        assert getattr(lab, name).__name__ == name


def test_whoever_types_the_fixture_is_told_of_mistakes(tmp_path):
    """mypy --strict knows what `lab` is: right uses pass, and each wrong one is an error."""
    (tmp_path / "user.py").write_text(USER)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", tmp_path / "user.py"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = [line.partition("user.py:")[2] for line in done.stdout.splitlines() if "user.py:" in line]
    hunt, wrong, no_scenario = found
    assert "scheduler: str" in hunt
    assert "-> typing.Coroutine[Any, Any, int]" in hunt.replace("def ", "")
    assert 'expression has type "Outcome", variable has type "int"' in wrong
    assert 'Argument 1 to "check" of "Lab" has incompatible type "str"; expected "Scenario"' in no_scenario
