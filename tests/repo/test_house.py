"""The house that docs/DESIGN.md draws: which way imports may run, and how long files and functions may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lab

HOUSE = Path(lab.__file__).parent
FILES = sorted(HOUSE.rglob("*.py"))

VALUES = {
    "errors",
    "schedule",
    "schedule_text",
    "replay_token",
    "trace",
    "footprint",
    "dependence",
    "coverage",
    "straighten",
    "happens_before",
    "predictions",
    "history",
    "layout",
    "outcome",
    "scenario",
    "record",
    "remedy",
    "advice",
    "faults",
    "breakpoints",
    "checks",
    "claims",
    "validation",
    "yardstick",
}
"""Modules of the top level that are values, or say something about values. The rest there are shells."""

MAY_IMPORT = {
    "values": {"values"},
    "schedulers": {"values", "schedulers"},
    "engine": {"values", "schedulers", "engine"},
    "postgres": {"values", "engine", "postgres"},
    "checkers": {"values", "checkers"},
    "report": {"values", "checkers", "report"},
    "explore": {"values", "schedulers", "engine", "postgres", "checkers", "explore"},
    "shells": {"values", "schedulers", "engine", "postgres", "checkers", "report", "explore", "shells"},
}

IMPURE = {"asyncio", "asyncpg", "sqlalchemy", "anyio", "time", "datetime", "socket", "threading", "subprocess"}
PURE = {"schedulers", "checkers", "report"}

LONGEST_FILE = 300
LONGEST_FUNCTION = 45


def part_of(name: str) -> str:
    """The part of the house in which a module of the lab lives, by its dotted name after `lab.`."""
    first = name.partition(".")[0]
    if first in VALUES:
        return "values"
    return first if first in MAY_IMPORT else "shells"


def name_of(path: Path) -> str:
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file names in an import, wherever in the file, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: imports are absolute, so that they can be read"
            if node.module == "lab":
                yield from ((f"lab.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module or "", node.lineno


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_run_one_way(path):
    name = name_of(path)
    if not name:  # lab/__init__.py names what is public, and loads it when it is used
        return
    allowed = MAY_IMPORT[part_of(name)]
    wrong = [
        f"{path.relative_to(HOUSE)}:{line}: {part_of(name)} may not import {module}"
        for module, line in imports(path)
        if module.startswith("lab.") and part_of(module.removeprefix("lab.")) not in allowed
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", [each for each in FILES if part_of(name_of(each)) in PURE], ids=name_of)
def test_schedulers_checkers_and_reports_know_no_loop_no_database_and_no_clock(path):
    met = [f"{module} in line {line}" for module, line in imports(path) if module.split(".")[0] in IMPURE]
    assert not met, f"{path.relative_to(HOUSE)} is to be pure and imports {', '.join(met)}"


def test_errors_import_nothing():
    assert [module for module, _ in imports(HOUSE / "errors.py")] == ["__future__"]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    long = [
        f"{node.name}, {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert not long, f"{path.relative_to(HOUSE)}: {'; '.join(long)}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text())), path


def test_importing_the_package_loads_neither_database_nor_loop():
    """The plugin is loaded in every pytest run, also those that have nothing to do with the lab."""
    heavy = ("asyncpg", "sqlalchemy", "hypothesis", "anyio")
    script = f"import lab, sys; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=HOUSE.parent)
    assert done.stdout.strip() == ""
