"""What was listed is shown again without an import, as long as an import would show the same."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.lab_program import CASES, PROGRAM, environment

from lab.commands.beforehand import whole as whole_target
from lab.errors import ServerError
from lab.scenario.listed.kept import MOST, Listing
from lab.scenario.listed.state import files_of_modules

WARES = """
import os
from pathlib import Path

from wares_base import PRICE

SETTINGS = Path(__file__).with_name("wares.txt")
try:
    STOCK = Path(__file__).with_name("stock.txt").read_text()
except OSError:
    STOCK = "none"
VALUE = f"{PRICE} {SETTINGS.read_text()} {STOCK} {os.environ.get('WARES')}"
"""


class Project:
    """A project of two modules and the file that one reads; it counts how often it is imported."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.cache, self.imports = folder, cache, 0
        self.write("wares.py", WARES)
        self.write("wares_base.py", "PRICE = 10\n")
        self.write("wares.txt", "red")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def listed(self, *, later: float = 10.0) -> Any:
        """What is listed, by a process that begins so many seconds later than now."""
        forget()
        listing = Listing(lambda: self.cache)
        return listing.known() or listing.made(self._entries, began=time.time_ns() + int(later * 1e9))

    def _entries(self) -> list[dict[str, Any]]:
        self.imports += 1
        return [{"value": importlib.import_module("wares").VALUE}]

    def kept(self) -> list[Path]:
        return list((self.cache / "listed").iterdir()) if (self.cache / "listed").exists() else []


def forget() -> None:
    for name in [each for each in sys.modules if each.startswith("wares")]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("project", "cache"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.syspath_prepend(tmp_path / "project")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    # What this test process has imported in other ways than from files is not to count.
    monkeypatch.setattr("lab.scenario.listed.kept.files_of_modules", of_the_project)
    yield Project(tmp_path / "project", tmp_path / "cache")
    forget()


def of_the_project(modules: dict[str, Any]) -> list[str] | None:
    return files_of_modules({name: each for name, each in modules.items() if name.startswith("wares")})


def test_it_is_shown_again_without_an_import(project):
    first = project.listed()
    assert project.listed() == first == [{"value": "10 red none None"}]
    assert project.imports == 1


def same_size_and_time(project: Project) -> None:
    file = project.folder / "wares_base.py"
    before = file.stat()
    file.write_text("PRICE = 11\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Project], None]] = {
    "the module": lambda project: project.write("wares.py", WARES.replace("{PRICE}", "price {PRICE}")),
    "a module that it imports, with size and time as before": same_size_and_time,
    "a file that it reads": lambda project: project.write("wares.txt", "blue"),
    "a file that it looked for and did not find": lambda project: project.write("stock.txt", "7"),
    "a variable of the environment": lambda project: os.environ.update(WARES="new"),
    "a package that is found before a module": lambda project: package(project, "wares_base", "PRICE = 12\n"),
    "its settings": lambda project: project.write("pyproject.toml", '[tool.lab]\nscenarios = ["wares"]\n'),
}


def package(project: Project, name: str, text: str) -> None:
    (project.folder / name).mkdir()
    project.write(f"{name}/__init__.py", text)


@pytest.mark.parametrize("change", CHANGES)
def test_it_is_imported_again_when_something_changed(project, change, monkeypatch):
    monkeypatch.setenv("WARES", "old")
    before = project.listed()
    CHANGES[change](project)
    after = project.listed()
    assert project.imports == 2
    assert (after != before) or change == "its settings"
    assert project.listed() == after
    assert project.imports == 2


@pytest.mark.parametrize(
    "line",
    [
        "import subprocess; subprocess.run(['true'])",
        "import socket; socket.create_server(('127.0.0.1', 0)).close()",
        "open('wares.log', 'w').close()",
        "import os; os.system('true')",
    ],
)
def test_it_is_not_kept_where_an_import_does_more_than_read_files(project, line):
    project.write("wares.py", f"{WARES}\n{line}\n")
    project.listed()
    project.listed()
    assert project.imports == 2
    assert project.kept() == []


def test_it_is_not_kept_where_a_file_changed_just_before_or_during_the_import(project):
    """Another change might leave the same times."""
    project.listed(later=1.0)
    assert project.kept() == []


@pytest.mark.parametrize("damage", ["", "{}", '{"seal": 1', "[]", "whole"])
def test_a_damaged_list_counts_for_nothing_and_is_replaced(project, damage):
    right = project.listed()
    (file,) = project.kept()
    text = file.read_text()
    file.write_text(text.replace("10 red", "99 red") if damage == "whole" else damage)
    assert project.listed() == right
    assert project.imports == 2
    assert file.read_text() == text


def test_nothing_is_waited_for_that_stands_in_its_place(project):
    project.listed()
    (file,) = project.kept()
    file.unlink()
    os.mkfifo(file)
    project.listed()
    assert project.imports == 2
    assert file.is_file()


def test_a_cache_that_cannot_be_used_makes_it_slower_only(project):
    right = project.listed()
    (project.cache / "listed").rename(project.cache / "elsewhere")
    (project.cache / "listed").write_text("in the way")
    assert project.listed() == right

    def unusable() -> Path:
        raise ServerError("no cache folder can be written")

    listing = Listing(unusable)
    assert listing.known() is None
    assert listing.made(project._entries) == right


def test_what_was_killed_while_it_wrote_leaves_no_list_and_is_forgotten_in_time(project):
    (folder := project.cache / "listed").mkdir()
    for number in range(MOST + 10):
        (folder / f"{number}.json.1.ab").write_text("{")
    project.listed()
    project.listed()
    assert project.imports == 1
    assert len(project.kept()) == MOST


def test_the_command_lists_the_second_time_without_loading_sqlalchemy():
    """Files of a checkout are older than a moment, so that its list is kept."""
    shown = [
        subprocess.run(
            [sys.executable, "-X", "importtime", PROGRAM, "list", *more, "--json"],
            cwd=CASES, env=environment(), capture_output=True, text=True, check=True,
        )
        for more in (["--anew"], [])
    ]  # fmt: skip
    assert shown[0].stdout == shown[1].stdout
    assert ["sqlalchemy" in each.stderr for each in shown] == [True, False]


@pytest.mark.parametrize(
    ("targets", "whole"),
    [
        (["shop:Lost", "shop:Right"], "shop:Lost"),
        (["shop:Lost", "other:Lost"], "Lost"),
        (["shop:Right"], "Lost"),
        (None, "Lost"),
    ],
)
def test_a_short_name_is_read_off_a_kept_list_where_it_has_one_of_that_name(targets, whole, monkeypatch):
    """Else all modules are imported, and what is wrong is said as always."""
    kept = None if targets is None else [{"target": each} for each in targets]
    monkeypatch.setattr(Listing, "known", lambda self: kept)
    assert whole_target("Lost") == whole
    assert whole_target("other:Found") == "other:Found"
