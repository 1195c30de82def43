"""Runs a page: its blocks become files of one folder, and its commands are run there, in the order of the page.

A block of Python is a file, by the name in its first line `# file: name.py`, or one of its own; a later block of the
same name replaces it. A `test_*.py` is run by pytest, unless a command of the page does it; all others are imported at
the end. TOML, YAML and JSON are parsed. Of a block of the kind `console` each line that begins with `$ ` is run by the
shell; what is shown below it must be its output. A command ends with 0 or, having found something, with 1.

Output is compared like this, and in no other way: `…` stands for any text, alone on a line for any lines; durations
(`0.21 s`, `14 ms`, `0.30s`) are equal to each other; blanks at the end of a line do not count. With LAB_WRITE_DOCS=1 an
output that differs is written into the page.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from helpers.pages import ROOT, Block, blocks_of

WRITES = bool(os.environ.get("LAB_WRITE_DOCS"))
FOLDER = re.compile(r"^<!-- folder: (\S+) -->$", re.MULTILINE)
"""On a page that is typed in a copy of that folder."""
KEEPS = "<!-- hunts are kept -->"
"""On a page whose hunts are kept; on another one no hunt knows of those before."""
DURATION = re.compile(r"\b\d+(?:\.\d+)?(?: ?m?s\b| seconds?\b)")
PARSERS: dict[str, Callable[[str], object]] = {"toml": tomllib.loads, "yaml": yaml.safe_load, "json": json.loads}
BOUND = 300
"""Seconds that a command may take; it is there to end what hangs."""
OF_PYTEST = ("PYTEST_", "COV_", "LAB_", "HYPOTHESIS_")
"""Variables of the run that tests the pages, which is none of the reader's."""


@dataclass
class Page:
    """A page as it is run in a folder; `outputs` are the console blocks as they should read."""

    path: Path
    folder: Path
    modules: list[str] = field(default_factory=list)
    outputs: list[tuple[Block, str]] = field(default_factory=list)

    def run(self) -> None:
        if copied := FOLDER.search(self.path.read_text()):
            shutil.copytree(ROOT / copied[1], self.folder, dirs_exist_ok=True)
        blocks = [each for each in blocks_of(self.path) if "not run" not in each.marks]
        console = "\n".join(each.text for each in blocks if each.language == "console")
        for block in blocks:
            if block.language in PARSERS:
                PARSERS[block.language](block.text)
            if block.language == "python" or block.file:
                self._write(block, by_pytest="pytest" not in console)
            if block.language == "console":
                self.outputs.append((block, self._typed(block)))
        if self.modules:
            imports = f"import importlib\nfor each in {self.modules}: importlib.import_module(each)"
            done = self._program(sys.executable, "-c", imports)
            assert done.returncode == 0, f"{self.path}: the blocks do not run\n{done.stdout}"

    def _write(self, block: Block, *, by_pytest: bool) -> None:
        name = block.file or f"block_{block.first}.py"
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text)
        if not name.endswith(".py"):
            return
        if not name.startswith("test_"):
            module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            self.modules += [module] if module not in self.modules else []
        elif by_pytest:
            done = self._program(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", name)
            assert done.returncode == 0, f"{block.place}: the test does not pass\n{done.stdout}"

    def _typed(self, block: Block) -> str:
        """The block with the output that its commands have."""
        lines: list[str] = []
        for command, shown in commands_of(block):
            done = self._program("bash", "-c", command)
            seen = f"{block.place}: $ {command}\n{done.stdout}"
            assert done.returncode in (0, 1), f"exit status {done.returncode}\n{seen}"
            assert WRITES or not shown or matches(shown, done.stdout), f"the output is another one\n{seen}"
            right = not shown or matches(shown, done.stdout)
            lines += [f"$ {command}", *(shown if right else [each.rstrip() for each in done.stdout.splitlines()])]
        return "\n".join(lines) + "\n"

    def _program(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(OF_PYTEST)}
        environment |= {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}", "COLUMNS": "100"}
        environment |= {} if KEEPS in self.path.read_text() else {"LAB_NO_KEEP": "1"}
        environment |= {"PYTHONPATH": str(self.folder), "NO_COLOR": "1", "TERM": "dumb"}
        return subprocess.run(
            command, cwd=self.folder, env=environment, text=True, check=False, timeout=BOUND,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def rewrite(self) -> None:
        """Put the outputs into the page, as it is by now."""
        text = self.path.read_text()
        for block, shown in self.outputs:
            text = text.replace(block.text, shown, 1)
        self.path.write_text(text)


def commands_of(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block with the lines that are shown below it."""
    command, shown = "", []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, shown
            command, shown = line.removeprefix("$ "), []
        else:
            assert command, f"{block.place}: a console block begins with a command, `$ …`"
            shown.append(line)
    yield command, shown


def matches(shown: list[str], output: str) -> bool:
    """Whether an output is the one that a page shows."""
    pattern = r"\n".join(r"(?:.*\n?)*?" if line.strip() == "…" else _line(line) for line in shown)
    pattern = pattern.replace(r"(?:.*\n?)*?\n", r"(?:.*\n)*?").replace(r"\n(?:.*\n?)*?", r"(?:\n.*)*?")
    return re.fullmatch(pattern, "\n".join(map(_plain, output.rstrip().splitlines()))) is not None


def _line(shown: str) -> str:
    return ".*?".join(map(re.escape, _plain(shown).split("…")))


def _plain(line: str) -> str:
    return DURATION.sub("0 s", line.rstrip())
