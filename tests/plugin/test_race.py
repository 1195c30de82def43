"""`lab.race`: coroutine functions in, record or violation out; in a test, in IPython, and replayed from its token."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import MetaData, Table

import lab
from lab import Lab
from lab.errors import ScenarioError
from lab.scenario.declare import actors_of, invariants_of, target_of
from lab.scenario.race import race_of
from lab.scenario.validation import validate
from lab.search.direct.how import parted

SHOP = Path(__file__).parents[1] / "cases" / "shop_without_a_class.py"
PLACE = ("shop", "test_buy")
FILE = Path("tests", "test_shop.py")


@pytest.fixture
def shop(project):
    """A service without a scenario, in a project whose tests lie in a folder that Python does not search."""
    (project.path / "shop.py").write_text(SHOP.read_text())
    (project.path / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    (project.path / "tox.ini").unlink()
    (project.path / "tests").mkdir()
    return project.path


def run(*command, cwd):
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    done = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True, check=False, env=env)
    return done.returncode, done.stdout + done.stderr


def token_in(text):
    return next(word for word in text.split() if word.startswith("lab1:"))


TESTS = """
import shop
from lab import Lab

async def one_left(session):
    session.add(shop.Item(id=1, left=1))

def nothing_is_sold_twice(outcome):
    return sum(result.value for result in outcome.results.values()) <= 1

async def test_buy(lab: Lab):
    with lab.watch(shop.ENGINE):
        await lab.race(shop.buy, shop.buy, setup=one_left, holds=nothing_is_sold_twice)

async def test_locked(lab: Lab, tmp_path):
    async def locked():
        return await shop.buy(lock=True)

    await lab.race(shop.buy, locked, setup=one_left, holds=nothing_is_sold_twice, metadata=shop.Base.metadata)

async def test_right(lab: Lab):
    async def locked():
        return await shop.buy(lock=True)

    record = await lab.race(locked, locked, setup=one_left, holds=nothing_is_sold_twice)
    assert repr(record).startswith("pass: test_shop:test_right.locked1-locked2: ")
"""


def test_a_race_in_a_test_names_its_functions_and_each_of_its_replay_lines_can_be_pasted(shop):
    """Under `lab.watch`, from a file in tests/: `lab replay` calls the function that races, pytest runs its test."""
    (shop / FILE).write_text(TESTS)
    status, text = run("-m", "pytest", "-p", "no:cacheprovider", "-rN", "tests", cwd=shop)
    assert status == 1
    assert "2 failed, 1 passed" in text
    assert f'invariant "nothing is sold twice"  {FILE}:8' in text
    lines = [line.removeprefix("E").strip() for line in text.splitlines() if "--lab-replay=" in line]
    pasted = next(line for line in lines if "::test_buy" in line).removeprefix("Replay   ")
    status, again = run("-m", *pasted.replace("'", "").split(), cwd=shop)
    assert status == 1
    assert "nothing_is_sold_twice returned False" in again
    assert "test_shop:test_buy.buy1-buy2: 1 execution, 1 token replayed, broken" in again

    token = token_in(pasted.replace("=lab1", " lab1"))
    assert f"or  lab replay {token}" in text
    for folder in (shop, shop / "tests"):  # where it was found, and another folder of the project
        status, replayed = run("-m", "lab.cli", "replay", token, "--times", "2", cwd=folder)
        assert status == 1, replayed
        assert "replayed 2/2 identical · verdict fail" in replayed
    # One whose function asks for another fixture is pytest's alone.
    other = next(line for line in lines if "::test_locked" in line)
    assert "lab replay" not in text.partition("::test_locked")[2].partition("____")[0]
    status, refused = run("-m", "lab.cli", "replay", token_in(other.replace("=lab1", " lab1")), cwd=shop)
    assert status == 2
    assert "stands in a function that asks for 'tmp_path', which only a test runner gives" in refused


NOTEBOOK = """
import shop
import lab

async def one_left(session):
    session.add(shop.Item(id=1, left=1))

def nothing_is_sold_twice(outcome):
    return sum(result.value for result in outcome.results.values()) <= 1

how = {"setup": one_left, "holds": nothing_is_sold_twice}
try:
    await lab.race(shop.buy, shop.buy, **how)
except lab.Violation as error:
    token = error.token
    print(str(error).splitlines()[0], "AND", str(error).splitlines()[-1].partition("lab1:")[0])
try:
    await lab.race(shop.buy, shop.buy, **how, replay=token)
except lab.Violation as error:
    print("AGAIN", error.token == token, "TOKEN", token)
"""


def test_a_race_runs_at_the_top_level_of_ipython_and_its_token_replays_there(shop):
    """`await lab.race(…)` in a cell; what a notebook raced has no module, so its token goes back into the call."""
    (shop / "cells.ipy").write_text(NOTEBOOK)
    status, text = run("-m", "IPython", "--no-banner", "--colors=NoColor", "cells.ipy", cwd=shop)
    assert status == 0, text
    assert 'LOST UPDATE  nothing_is_sold_twice returned False AND Replay   lab.race(…, replay="' in text
    assert "AGAIN True" in text
    status, refused = run("-m", "lab.cli", "replay", re.search(r"TOKEN (lab1:\S+)", text)[1], cwd=shop)
    assert status == 2
    assert "the token is of a notebook or a script" in refused


async def buy(session):
    """Not called here."""


async def sell(item, *, session=None, discount=0):
    """Not called here either."""


def test_actors_are_named_after_their_functions():
    scenario = race_of(PLACE, [buy, buy, lambda: buy(None)])
    assert [each.name for each in actors_of(type(scenario))] == ["buy1", "buy2", "a"]
    assert target_of(scenario) == "shop:test_buy.buy1-buy2-a"


def test_what_a_function_asks_for_is_what_the_lab_can_give():
    """A parameter with a default stays as it is, unless the lab knows it; one without is asked for, and refused."""
    scenario = race_of(PLACE, [sell, buy])
    assert [each.wants for each in actors_of(type(scenario))] == [("item", "session"), ("session",)]
    with pytest.raises(ScenarioError, match="asks for 'item'; it can ask for session"):
        validate(type(scenario))


def test_invariants_are_called_as_their_functions_are():
    scenario = race_of(PLACE, [buy, buy], holds=[test_actors_are_named_after_their_functions, lambda outcome: True])
    names = [each.name for each in invariants_of(type(scenario))]
    assert names == ["test actors are named after their functions", "what is said holds"]


async def test_a_call_that_has_begun_is_refused_with_what_to_write_instead():
    with pytest.raises(ScenarioError, match=r"was given buy\(…\), a call that has begun; give it the function"):
        race_of(PLACE, [buy(None), buy])


def test_a_keyword_that_is_mistyped_is_refused():
    with pytest.raises(ScenarioError, match="knows no 'hold'; its keywords are setup, holds, metadata"):
        parted({"hold": buy})


def test_several_metadata_in_sight_are_not_guessed():
    one, other = MetaData(), MetaData()
    for number, each in enumerate((one, other)):
        Table(f"table{number}", each)

    async def both():
        return one, other

    with pytest.raises(ScenarioError, match=r"several metadata are in sight .table0 in the function and table1"):
        race_of(PLACE, [both, both])
    assert type(race_of(PLACE, [both, both], metadata=other)).metadata is other


def test_the_fixture_offers_the_names_of_the_package():
    """A parameter `lab` hides nothing of what `import lab` has; a name that neither has is said to be of neither."""
    fixture = Lab(None)
    assert all(getattr(fixture, name) is not None for name in lab.__all__)
    assert fixture.point is lab.point
    assert fixture.Scenario is lab.Scenario
    with pytest.raises(AttributeError, match="neither the fixture `lab` nor the package has 'hunts'"):
        fixture.hunts  # noqa: B018 - asked for
