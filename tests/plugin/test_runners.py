"""The fixture beside the plugins that run asynchronous tests, each set of them in a virtual environment of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.environments import Environment

WIDER = [pytest.param(scope, marks=pytest.mark.long) for scope in ("module", "session")]

USES = """
import asyncio
from hypothesis import given, settings, strategies as st
import pytest
from counter import Counted, LostCount
from lab import Lab, Violation, schedules

LOOPS = []

@settings(derandomize=True, database=None, max_examples=5)
@given(scenario=st.builds(Counted, amount=st.integers(1, 5)), schedule=schedules())
{mark}
async def test_draws(lab: Lab, scenario, schedule):
    LOOPS.append(asyncio.get_running_loop())  # held, so that no two have one address
    assert len(set(LOOPS)) == 1, "the examples share connections"
    await lab.check(scenario, schedule)

{mark}
async def test_finds(lab: Lab):
    with pytest.raises(Violation, match="the counter stands at 1"):
        await lab.hunt(LostCount(), executions=5)

{mark}
async def test_passes(lab: Lab, resource):
    assert resource is asyncio.get_running_loop()  # so that what a fixture opens is of use
    assert (await lab.check(Counted())).outcome.ending == "completed"
"""
RESOURCE = """
import asyncio, pytest
{imports}

@{fixture}
async def resource(lab):
    await asyncio.sleep(0)
    yield asyncio.get_running_loop()
    await asyncio.sleep(0)
"""
ANYIO = RESOURCE.format(imports="", fixture="pytest.fixture")
STRICT = RESOURCE.format(imports="import pytest_asyncio", fixture="pytest_asyncio.fixture")


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="session")
def asyncio_plugin(tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("asyncio"), "pytest-asyncio")


@pytest.fixture(scope="session")
def shuffled(tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("randomly"), "pytest-asyncio", "pytest-randomly")


def written(project, conftest: str, tests: dict[str, str], ini: str = "") -> Path:
    """The folder of a project: a conftest, tests by the names of their files, and settings."""
    if "pytest_asyncio" in conftest:
        ini += "asyncio_default_fixture_loop_scope = function\n"  # unset, it warns
    project.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
    project.makeconftest(conftest)
    project.makepyfile(**tests)
    return project.path


@pytest.mark.parametrize("scope", ["function", *WIDER])
def test_the_documented_fixture_of_anyio_may_have_any_scope(project, plain, scope):
    """`anyio_backend` as anyio's own documentation writes it, and wider: the fixture `lab` asks for none of them."""
    backend = f'\n@pytest.fixture(scope="{scope}")\ndef anyio_backend():\n    return "asyncio"\n'
    folder = written(project, ANYIO + backend, {"test_it": USES.format(mark="@pytest.mark.anyio")})
    plain.passes(3, cwd=folder)


def test_anyio_runs_what_nobody_claims(project, plain):
    """Neither a mark nor a mode: also where a test has `lab` only by another fixture."""
    indirect = "async def test_it(resource):\n    assert resource\n"
    folder = written(project, ANYIO, {"test_it": USES.format(mark=""), "test_by_another": indirect})
    plain.passes(4, cwd=folder)


@pytest.mark.parametrize("scope", ["function", *WIDER])
def test_pytest_asyncio_in_strict_mode_runs_its_tests_in_loops_of_any_scope(project, asyncio_plugin, scope):
    """Each loop has connections of its own, which end with it: nothing is left for a warning."""
    conftest = STRICT.replace("pytest_asyncio.fixture", f'pytest_asyncio.fixture(loop_scope="{scope}")')
    mark = f'@pytest.mark.asyncio(loop_scope="{scope}")'
    asyncio_plugin.passes(3, cwd=written(project, conftest, {"test_it": USES.format(mark=mark)}))


@pytest.mark.parametrize("scope", ["function", WIDER[-1]])
def test_pytest_asyncio_in_auto_mode_runs_tests_without_a_mark(project, asyncio_plugin, scope):
    """What most projects have. The asynchronous fixture is pytest-asyncio's as well."""
    ini = "asyncio_mode = auto\n" + "".join(
        f"asyncio_default_{of}_loop_scope = {scope}\n" for of in ("fixture", "test")
    )
    asyncio_plugin.passes(3, cwd=written(project, ANYIO, {"test_it": USES.format(mark="")}, ini))


@pytest.mark.long
def test_anyio_and_pytest_asyncio_run_tests_of_one_project(project, asyncio_plugin):
    """One module each, in one run: every event loop has its own connections to the one server."""
    conftest = STRICT + '\n@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n'
    mark = "@pytest.mark.asyncio"
    theirs = USES.format(mark="@pytest.mark.anyio").replace("lab: Lab, resource", "lab: Lab").replace(
        "resource is asyncio", "asyncio"
    )  # fmt: skip
    folder = written(project, conftest, {"test_one": USES.format(mark=mark), "test_other": theirs})
    asyncio_plugin.passes(6, cwd=folder)


def test_workers_of_xdist_run_tests_of_pytest_asyncio(project, asyncio_plugin):
    """And the summary at the end has what all workers did."""
    mark = "@pytest.mark.asyncio"
    tests = {"test_one": USES.format(mark=mark), "test_two": USES.format(mark=mark)}
    text = asyncio_plugin.passes(6, "-n", "2", cwd=written(project, STRICT, tests))
    assert "counter:Counted: 12 executions, nothing broken" in text


@pytest.mark.long
def test_the_order_of_tests_does_not_matter(project, shuffled):
    """pytest-randomly shuffles tests and sets seeds."""
    mark = '@pytest.mark.asyncio(loop_scope="module")'
    conftest = STRICT.replace("pytest_asyncio.fixture", 'pytest_asyncio.fixture(loop_scope="module")')
    folder = written(project, conftest, {"test_one": USES.format(mark=mark), "test_two": USES.format(mark=mark)})
    text = shuffled.passes(6, "-p", "randomly", "-p", "no:xdist", "-p", "no:xdist.looponfail", cwd=folder)
    assert "--randomly-seed=" in text


CASE = """
import unittest
from hypothesis import given, settings, strategies as st
from counter import Counted, LostCount
from lab import LabCase, Violation, schedules

class TestCounter(LabCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        await self.lab.check(Counted())

    async def test_finds(self):
        with self.assertRaises(Violation) as caught:
            await self.lab.hunt(LostCount())
        print("SAYS", str(caught.exception).splitlines()[-2].split("lab1:")[0])

    @settings(derandomize=True, database=None, max_examples=5, deadline=None)
    @given(scenario=st.builds(Counted, amount=st.integers(1, 5)), schedule=schedules())
    async def test_draws(self, scenario, schedule):
        await self.lab.check(scenario, schedule)
"""


def test_a_test_case_of_unittest_has_the_lab(project, plain):
    """`LabCase` runs by `python -m unittest`, and the same file by pytest; its failures say how each replays them."""
    folder = written(project, "", {"test_case": CASE})
    status, text = plain.run("-W", "error", "-m", "unittest", "test_case", cwd=folder)
    assert status == 0, text
    assert "Ran 2 tests" in text
    assert "ResourceWarning" not in text
    assert "LAB_REPLAY=" in text
    plain.passes(2, cwd=folder)
