"""CONTRIBUTING.md as it stands: each kind of extension is one new file and one new line, and then it works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.lab_program import environment

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
KINDS = {"A checker", "A remedy", "A report section", "A scheduler", "A command", "A fault"}
LONGEST = 40
"""Lines of a section."""
SENTENCES = 2
SECONDS = 100
"""For the command of a section, which takes a few on a quiet machine; then it hangs."""


@dataclass(frozen=True)
class Recipe:
    """What a section tells to do."""

    kind: str
    file: str
    text: str
    table: str
    before: tuple[str, ...]
    line: str
    after: tuple[str, ...]
    command: str

    @classmethod
    def read(cls, section: str) -> Recipe:
        """Raises `AssertionError` for a section that is not in the form of the others."""
        kind, _, body = section.partition("\n")
        assert len(section.strip().splitlines()) <= LONGEST, f"{kind} takes more than {LONGEST} lines"
        words, *_ = body.partition("```")
        assert len(re.findall(r"[.:](?:\s|$)", words)) >= SENTENCES, f"{kind} begins with two sentences"
        (new,), (change,), (command,) = (_blocks(body, language) for language in ("python", "diff", "sh"))
        file, text = _headed(new)
        table, lines = _headed(change)
        signs = [each[:1] for each in lines.splitlines()]
        assert set(signs) <= {" ", "+"}, f"{kind}: only a line is added"
        assert signs.count("+") == 1, f"{kind}: one line is added"
        at, contents = signs.index("+"), [each[1:] for each in lines.splitlines()]
        assert len(contents) > 1, f"{kind}: lines beside the added one say where it belongs"
        return cls(kind, file, text, table, tuple(contents[:at]), contents[at], tuple(contents[at + 1 :]), command)

    def follow(self, house: Path) -> None:
        """Add the file and the line to a copy of the lab."""
        new, table = house / self.file, house / self.table
        assert not new.exists(), f"{self.file} is there already"
        assert new.parent.is_dir(), f"{self.file} is to be in a folder that is there"
        new.write_text(self.text)
        lines, around = table.read_text().splitlines(), [*self.before, *self.after]
        places = [at for at in range(len(lines)) if lines[at : at + len(around)] == around]
        assert len(places) == 1, f"{self.table} has these lines {len(places)} times: {around}"
        lines.insert(places[0] + len(self.before), self.line)
        table.write_text("\n".join(lines) + "\n")

    def show(self, house: Path) -> subprocess.CompletedProcess[str]:
        """Run the command of the section with the copy."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-euc", self.command],
            cwd=house,
            env=environment(PYTHONPATH=str(house), PATH=path, PYTHONDONTWRITEBYTECODE="1"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def _blocks(body: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)


def _headed(block: str) -> tuple[str, str]:
    """The path in the first line, and the rest."""
    first, _, rest = block.partition("\n")
    assert re.fullmatch(r"# [\w./]+", first), f"a path, as a comment, is the first line; not {first!r}"
    return first.removeprefix("# "), rest


SECTIONS = {
    section.partition("\n")[0]: section
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
    if re.match(r"An? ", section)
}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of what is extended, compiled as far as the original is."""
    for folder in ("lab", "scenarios"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("*.pyc.*"))  # being written
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def contents(house: Path) -> dict[str, list[str]]:
    """Each file of the copy, as lines."""
    files = (path for path in house.rglob("*.py"))
    return {str(path.relative_to(house)): path.read_text().splitlines() for path in files}


@pytest.mark.parametrize("kind", SECTIONS)
def test_a_section_works_as_it_stands(house, kind):
    """One file and one line are added, ruff has nothing to say, and the command shows what is new."""
    recipe, old = Recipe.read(SECTIONS[kind]), contents(house)
    recipe.follow(house)
    new = contents(house)
    assert new.keys() - old.keys() == {recipe.file}
    assert {path for path in old if old[path] != new[path]} == {recipe.table}
    assert len(new[recipe.table]) == len(old[recipe.table]) + 1
    for check in (["check"], ["format", "--check"]):
        line = [sys.executable, "-m", "ruff", *check, "--no-cache", recipe.file, recipe.table]
        done = subprocess.run(line, cwd=house, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stdout
    done = recipe.show(house)
    assert done.returncode == 0, f"{recipe.command}\n{done.stdout}\n{done.stderr}"


def test_the_command_of_a_section_shows_nothing_without_the_line(house):
    """So it is the new line that makes it work."""
    recipe = Recipe.read(SECTIONS["A checker"])
    (house / recipe.file).write_text(recipe.text)
    assert recipe.show(house).returncode


WRONG = {
    "a path": (r"```python\n# ", "```python\n"),
    "first line": (r"```diff\n# ", "```diff\n"),
    "one line is added": (r"\n\+.*", ""),
    "only a line": (r"\n\+", "\n-"),
    "two sentences": (r"\n\n.*?```python", "\n\n```python"),
    "more than 40 lines": (r"\n\n\n", "\n" * 30),
    "0 times": (r"\n     \"", '\n     "no'),
    "is there already": (r"# lab/checkers/\w+\.py", "# lab/checkers/stalls.py"),
    "folder that is there": (r"# lab/checkers/\w+\.py", "# lab/chequers/new"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_section_that_says_it_wrongly_is_noticed(house, wrong):
    before, after = WRONG[wrong]
    section = re.sub(before, after, SECTIONS["A checker"], count=1, flags=re.DOTALL if "sentences" in wrong else 0)
    assert section != SECTIONS["A checker"]
    with pytest.raises(AssertionError, match=wrong):
        Recipe.read(section).follow(house)


def test_every_kind_of_extension_has_its_section():
    assert SECTIONS.keys() == KINDS
