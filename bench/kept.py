"""Whether anything that was shown is missing after SIGKILL: a hunt of two workers is killed at random moments.

After each kill: the file opens and is whole (`PRAGMA integrity_check`), each token that stands on the screen is in it,
and `lab hunt --resume` comes to what a hunt comes to that nobody killed. Moments are drawn from the time that such a
hunt takes, start and end included. A hunt that was killed before it was written down has nothing to go on with.

    python bench/kept.py --kills 100
    python bench/kept.py --kills 20 --scheduler random --json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from _common import show

LAB = Path(sys.executable).with_name("lab")
TOKEN = re.compile(r"\blab\d:\S+")
PROJECT = """
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor, invariant


class Base(DeclarativeBase):
    pass


class Counter(Base):
    __tablename__ = "counter"
    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int]


class Visits(Scenario):
    metadata = Base.metadata

    async def setup(self, session):
        session.add_all([Counter(id=1, n=0), Counter(id=2, n=0)])

    @actor(names=("ann", "ben"))
    async def visit(self, session):
        for number in (1, 2):
            counter = await session.get_one(Counter, number)
            counter.n += 1
            await session.commit()

    @invariant
    async def the_first_counts(self, session):
        assert (await session.get_one(Counter, 1)).n == 2

    @invariant
    async def the_second_counts(self, session):
        assert (await session.get_one(Counter, 2)).n == 2
"""
LEFT_OUT = ("seconds", "hunt", "known")
"""What of an answer differs between two hunts of the same."""


class Project:
    """A folder with a scenario that breaks two things, where hunts are kept."""

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        (folder / "pyproject.toml").write_text("")
        (folder / "visits.py").write_text(PROJECT)
        more = ["--scheduler", options.scheduler, "--executions", str(options.executions), "--workers", "2"]
        self.hunt = ["hunt", "visits:Visits", "--keep-going", "--no-remedies", "--no-fresh", *more]
        self.file = folder / ".lab" / "hunts.sqlite"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}

    def start(self, *command: str, output: Path) -> subprocess.Popen[bytes]:
        """Start the lab in a session of its own; what it shows goes to a file."""
        with output.open("wb") as out:
            return subprocess.Popen(
                [LAB, *command], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env=self.environment, start_new_session=True,
            )  # fmt: skip

    def answer(self, *command: str) -> dict[str, Any]:
        """What a command prints with `--json`, but for what differs in any case."""
        done = subprocess.run(
            [LAB, *command, "--json"], cwd=self.folder, capture_output=True, env=self.environment, check=False
        )
        assert done.returncode in (0, 1), done.stderr.decode()
        return {name: each for name, each in json.loads(done.stdout).items() if name not in LEFT_OUT}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Of the file; none where there is none yet."""
        if not self.file.exists():
            return []
        connection = sqlite3.connect(self.file)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def kill(self, seconds: float) -> str:
        """Kill a hunt after so many seconds; returns what it had on the screen."""
        output = self.folder / "screen.txt"
        process = self.start(*self.hunt, output=output)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return output.read_text(errors="replace")

    def missing(self, screen: str) -> list[str]:
        """Tokens on the screen that are not in the file."""
        lines = screen.splitlines(keepends=True)
        tokens = {token for line in lines if line.endswith("\n") for token in TOKEN.findall(line)}
        kept = {row[0] for row in self.rows("SELECT token FROM failures")}
        kept |= {row[0] for row in self.rows("SELECT json_extract(shown, '$.found_token') FROM failures")}
        return sorted(tokens - kept)


def main() -> int:
    """Kill, look, go on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--executions", type=int, default=80)
    parser.add_argument("--scheduler", default="portfolio")
    parser.add_argument("--seed", type=int, default=0, help="Of the moments.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chance, counts, wrong = random.Random(options.seed), Counter[str](), list[str]()
    with tempfile.TemporaryDirectory() as name:
        project = Project(Path(name), options)
        began = time.monotonic()
        whole = project.answer(*project.hunt, "--no-keep")
        longest = time.monotonic() - began
        for number in range(1, options.kills + 1):
            sys.stderr.write(f"\r{number - 1} of {options.kills} kills, {len(wrong)} wrong")
            seconds = chance.uniform(0.1, longest)
            screen = project.kill(seconds)
            counts["with something on the screen"] += bool(TOKEN.search(screen))
            wrong += [f"kill {number}: {token} was shown and is missing" for token in project.missing(screen)]
            if (found := project.rows("PRAGMA integrity_check")) not in ([], [("ok",)]):
                wrong.append(f"kill {number}: the file is not whole: {found}")
            newest = project.rows("SELECT id, state FROM hunts ORDER BY begun DESC LIMIT 1")
            if not newest or newest[0][1] == "finished":
                counts["finished" if newest else "not written down yet"] += 1
                continue
            counts["gone on"] += 1
            if project.answer("hunt", "--resume", newest[0][0]) != whole:
                wrong.append(f"kill {number}, after {seconds:.2f} s: the hunt that went on came to something else")
    figures = {"kills": options.kills, "seconds_of_a_hunt": round(longest, 1), **counts, "wrong": wrong}
    rows = [(name.replace("_", " "), each) for name, each in figures.items()]
    show("Hunts of two workers, killed", ("", ""), rows, figures, as_json=options.json)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
