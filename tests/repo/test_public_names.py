"""The names that `lab` hands out: all there, typed, and loaded when they are used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import lab

ROOT = Path(lab.__file__).parents[1]
USER = """
from sqlalchemy.ext.asyncio import AsyncSession
from lab import ActorResult, ExecutionRecord, Lab, LabCase, Outcome, Scenario, Violation, claim, race, replays
from lab import schedules


async def buy(session: AsyncSession, item: int = 1) -> bool:
    return True


def holds(outcome: Outcome) -> bool:
    return all(result.value for result in outcome.results.values())


@replays("lab1:not:looked:at")
async def test_race(lab: Lab) -> None:
    await lab.race(buy, buy, setup=buy, holds=holds, isolation="SERIALIZABLE")
    record = await race(buy, buy, holds=(holds, holds))
    print(record.executions + record.traces, record.complete)
    await lab.point("here")
    lab.schedules(scheduler="pct", depth=2)
    try:
        await race(buy, buy)
    except Violation as error:
        print(error.token.upper(), error.anomaly, error.location)


class TestBuy(LabCase):
    async def test_race(self) -> None:
        await self.lab.race(buy, buy)


async def test_transfer(lab: Lab, scenario: Scenario) -> None:
    record: ExecutionRecord = await lab.check(scenario)
    outcome: Outcome = record.outcome
    alice: ActorResult = outcome.results["alice"]
    text: str = alice.text
    reveal_type(lab.hunt)
    wrong: int = record.outcome
    await lab.check("no scenario")
    await lab.race(buy, buy, hold=holds)
    await lab.race(3)
    lab.nothing
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
    found = [
        line.partition("user.py:")[2]
        for line in done.stdout.splitlines()
        if "user.py:" in line and "defined in" not in line
    ]
    hunt, wrong, no_scenario, no_keyword, no_function, no_name = found
    assert "scheduler: str" in hunt
    assert "-> typing.Coroutine[Any, Any, int]" in hunt.replace("def ", "")
    assert 'expression has type "Outcome", variable has type "int"' in wrong
    assert 'Argument 1 to "check" of "Lab" has incompatible type "str"; expected "Scenario"' in no_scenario
    assert 'Unexpected keyword argument "hold" for "race" of "Lab"' in no_keyword
    assert 'Argument 1 to "race" of "Lab" has incompatible type "int"' in no_function
    assert '"Lab" has no attribute "nothing"' in no_name
