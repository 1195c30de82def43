"""The wheel alone, in an environment of its own and from a folder that is not the checkout: all that a user calls.

The environment has the lab from its wheel and finds everything else in the one that runs the tests; with `long`, one
has everything from the package index. Neither needs a compiler: the wheel is pure Python, and so must its dependencies
be there as wheels.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from helpers.lab_program import temporary_folder

ROOT = Path(__file__).parents[2]
SHOP = Path(__file__).parent / "shop"

USER = """
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Lab, Outcome, Scenario, actor, invariant, schedules, serializable


class Two(Scenario):
    as_if_one_by_one = serializable()

    @actor
    async def ann(self, session: AsyncSession) -> None: ...

    @actor
    async def ben(self, session: AsyncSession) -> None: ...

    @invariant
    async def both_returned(self, outcome: Outcome) -> None:
        assert outcome.results["ann"].returned


async def test_two(lab: Lab) -> None:
    outcome: Outcome = (await lab.check(Two())).outcome
    wrong: int = outcome
"""
CLASSIFIERS = """
from importlib.metadata import metadata
from trove_classifiers import classifiers
print([each for each in metadata("concurrency-lab").get_all("Classifier") if each not in classifiers])
"""
TEST = """
import pytest
from scenarios.buy import Buy

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


async def test_buying_works_in_turn(lab):
    record = await lab.check(Buy())
    assert [each.text for each in record.outcome.results.values()] == ["1", "2"]
"""


def surroundings(**more: str) -> dict[str, str]:
    """The environment without what leads Python, pip or the lab elsewhere."""
    left_out = ("PIP_CONSTRAINT", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LAB_URL", "COLUMNS")
    return {**{name: value for name, value in os.environ.items() if name not in left_out}, **more}


def run(*command: object, cwd: Path = ROOT, seconds: int = 300, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(each) for each in command], cwd=cwd, env=surroundings(**more), capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False, timeout=seconds,
    )  # fmt: skip


def pip(*arguments: object) -> None:
    done = run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder():
    with temporary_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    """The wheel, made of a copy: setuptools leaves its files beside the sources and takes what it left there before."""
    source = folder / "source"
    for name in ("lab", "scenarios"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "concurrency_lab.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip("wheel", "--no-deps", "--wheel-dir", folder / "wheel", source)
    (wheel,) = (folder / "wheel").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def programs(folder: Path, wheel: Path) -> Path:
    """The folder of programs of an environment that has the lab from the wheel."""
    venv = folder / "venv"
    assert run(sys.executable, "-m", "venv", "--without-pip", venv).returncode == 0
    pip("--python", venv / "bin/python", "install", "--no-deps", wheel)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return venv / "bin"


@pytest.fixture
def project(folder: Path) -> Path:
    """A project of somebody's: a package with tables and one service, and a pyproject.toml."""
    project = folder / "project"
    (project / "shop").mkdir(parents=True, exist_ok=True)
    (project / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1"\n')
    for file in SHOP.iterdir():
        if file.suffix == ".txt":
            (project / "shop" / f"{file.stem}.py").write_text(file.read_text())
    return project


def walked(programs: Path, project: Path) -> None:
    """A user's way: versions, a first scenario, a hunt, its replay, all levels, the shipped scenarios, a test."""

    def lab(*arguments: str, status: int = 0) -> str:
        done = run(programs / "lab", *arguments, cwd=project, TMPDIR=str(project.parent))
        assert done.returncode == status, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout

    assert re.match(r"lab \S+, Python \S+, SQLAlchemy \S+, asyncpg \S+, hypothesis \S+\n$", lab("--version"))
    assert "next  lab hunt scenarios.buy:Buy" in lab("init")
    (failure,) = json.loads(lab("hunt", "Buy", "--json", "--no-remedies", status=1))["failures"]
    assert "5/5 identical" in lab("replay", failure["token"], status=1)
    levels = json.loads(lab("matrix", "Buy", "--executions", "5", "--json", status=1))["levels"]
    assert [each["isolation"] for each in levels] == ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
    demo = lab("demo", "LostUpdate", "--no-remedies", "--no-fresh", status=1)
    assert "LOST UPDATE" in demo
    *_, token = re.findall(r"lab replay (lab1:scenarios\.transfer:LostUpdate\S+)", demo)
    assert "5/5 identical" in lab("replay", token, status=1)
    (project / "test_buy.py").write_text(TEST)
    done = run(programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_user_who_has_only_the_wheel_can_do_all(programs, project):
    """From another folder than the checkout, with a package of his own and the shipped scenarios beside it."""
    where = run(programs / "python", "-c", "import lab; print(lab.__file__)", cwd=project).stdout
    assert where.startswith(str(programs.parent))
    walked(programs, project)


def test_the_wheel_holds_the_shipped_scenarios_and_nothing_that_can_clash(wheel):
    """Two names at the top: the lab, and the file that starts it. All scenarios are inside the lab."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {each.partition("/")[0] for each in names if ".dist-info/" not in each} == {"lab", "concurrency_lab.py"}
    shipped = {Path(each).name for each in names if each.startswith("lab/demo/scenarios/")}
    assert shipped == {each.name for each in (ROOT / "scenarios").glob("*.py")}
    assert {each for each in names if each.startswith("lab/") and not each.startswith("lab/demo/")} == {
        str(each.relative_to(ROOT))
        for each in (ROOT / "lab").rglob("*")
        if each.is_file()
        and ({"pages", "templates"} & {*each.parts} or each.suffix == ".py" or each.name == "py.typed")
    }
    kinds = (".py", "py.typed", ".md", ".html", ".css", ".js")
    assert all(each.endswith(kinds) for each in names if ".dist-info/" not in each)


def test_the_types_of_the_installed_package_are_used(programs, project):
    """mypy --strict on a user's file: the one wrong line is found, and nothing else is missing or unknown."""
    (project / "typed.py").write_text(USER)
    if (ROOT / ".mypy_cache").is_dir():  # what is known of the libraries; the lab is read anew, from its other place
        shutil.copytree(ROOT / ".mypy_cache", project / ".mypy_cache")
    options = ("--strict", "--python-executable", programs / "python")
    done = run(sys.executable, "-m", "mypy", *options, "typed.py", cwd=project)
    found = [line for line in done.stdout.splitlines() if "error" in line and line.startswith("typed.py")]
    assert len(found) == 1, done.stdout
    assert 'expression has type "Outcome", variable has type "int"' in found[0]


def test_another_package_of_the_same_name_is_told_in_one_sentence(programs, project, folder):
    """One that is found first, and one that another distribution has put into the same folder."""
    (folder / "first/lab").mkdir(parents=True, exist_ok=True)
    (folder / "first" / "lab" / "__init__.py").write_text("")
    done = run(programs / "lab", "list", cwd=project, PYTHONPATH=str(folder / "first"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "__init__.py, which is not of concurrency-lab" in done.stderr
    (site,) = programs.parent.glob("lib/python*/site-packages")
    record = site / "labyrinth-8.2.dist-info" / "RECORD"
    record.parent.mkdir()
    try:
        record.write_text("lab/__init__.py,sha256=x,1\n")
        done = run(programs / "lab", "list", cwd=project)
    finally:
        record.unlink()
        record.parent.rmdir()
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "the distribution labyrinth has installed a package 'lab'" in done.stderr


@pytest.mark.long
def test_a_clean_environment_without_a_compiler_has_all(folder, wheel, project):
    """Everything from the index, as wheels only. All shipped scenarios end as expected, and pyright has the types."""
    venv = folder / "clean"
    assert run(sys.executable, "-m", "venv", venv).returncode == 0
    tools = ("build", "trove-classifiers", "mypy", "pyright[nodejs]", "pytest")
    done = run(venv / "bin/pip", "install", "--quiet", "--only-binary", ":all:", wheel, *tools, CC="/nowhere/cc")
    assert done.returncode == 0, done.stderr
    (project / "scenarios" / "buy.py").unlink(missing_ok=True)
    walked(venv / "bin", project)
    done = run(venv / "bin/lab", "demo", cwd=project, seconds=1800)
    assert done.returncode == 0, done.stdout
    (project / "typed.py").write_text(USER)
    done = run(venv / "bin/pyright", "--pythonpath", venv / "bin/python", "--outputjson", "typed.py", cwd=project)
    (wrong,) = json.loads(done.stdout)["generalDiagnostics"]
    assert '"Outcome" is not assignable to "int"' in wrong["message"]
    done = run(
        venv / "bin/python", "-m", "build", "--outdir", folder / "built", folder / "source"
    )  # the wheel of the sdist
    assert done.returncode == 0, done.stdout + done.stderr
    stated = run(venv / "bin/python", "-c", CLASSIFIERS, cwd=project)
    assert (stated.returncode, stated.stdout) == (0, "[]\n"), stated.stderr
    (again,) = (folder / "built").glob("*.whl")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())
