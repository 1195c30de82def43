"""The table of commands, and what each of them loads."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest
from helpers.lab_program import CASES

import lab.commands
from lab.commands import COMMANDS

HEAVY = {"sqlalchemy", "networkx", "hypothesis", "asyncpg", "asyncio"}
HISTORY = CASES.parents[1] / "docs" / "histories"
RUN = """
import sys
from lab.cli import main
sys.argv[0] = "lab"
try:
    main()
except SystemExit as left:
    assert left.code == {status}, left.code
print(*sys.modules, file=sys.stderr)
"""


def loaded(*arguments: str, status: int = 0) -> set[str]:
    """What a fresh process has loaded after a call of the command line."""
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(status=status), *arguments],
        capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [("--help",), ("list", "--help"), ("replay", "--help")], ids=" ".join)
def test_help_loads_nothing_that_takes_time(arguments):
    """Neither the database's libraries nor the schedulers, whose predictions need networkx."""
    assert not loaded(*arguments) & {*HEAVY, "lab.schedulers", "lab.explore", "lab.engine"}


def test_importing_the_command_line_loads_nothing_that_takes_time():
    code = f"import sys, lab.cli; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_server_is_examined_without_what_a_scenario_needs():
    """Its settings and privileges are asked of the driver alone."""
    modules = loaded("doctor")
    assert {"asyncpg", "lab.postgres.server.cluster"} <= modules
    assert not modules & {"sqlalchemy", "networkx", "hypothesis", "lab.explore"}


def test_what_a_hunt_needs_loads_neither_graphs_nor_a_test_runner():
    """Most executions have no graph. time-machine would load pytest; who wants it later can still have it."""
    code = (
        "import sys, lab.search.campaign; print({'networkx', 'pytest', 'hypothesis'} & {*sys.modules}); import pytest"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_history_is_checked_without_engine_and_database():
    modules = loaded("check-history", str(HISTORY / "list_append.json"))
    assert "lab.checkers.external.inference" in modules
    assert not modules & {"sqlalchemy", "asyncpg", "asyncio", "hypothesis"}
    assert not {each for each in modules if each.startswith(("lab.engine", "lab.postgres.", "lab.explore"))} - {
        "lab.postgres.server", "lab.postgres.server.versions"
    }  # fmt: skip


def test_the_table_names_every_file_and_each_holds_its_command():
    """A file that is in no line of the table would never be found; the other files are no commands."""
    folder = Path(lab.commands.__file__).parent
    files = {f"lab.commands.{path.stem}" for path in folder.glob("*.py")} - {"lab.commands.__init__"}
    others = {
        f"lab.commands.{name}"
        for name in (
            *("as_spec", "beforehand", "complete", "console", "everything", "found", "guard", "jobs", "keep", "line"),
            *("on_cluster", "options", "pages", "progress"),
        )
    }
    assert files - set(COMMANDS.values()) == others
    assert set(COMMANDS.values()) <= files
    for name, module in COMMANDS.items():
        command = importlib.import_module(module).command
        assert isinstance(command, click.Command)
        assert command.get_short_help_str(), f"lab {name} has no help"
