"""How long it takes until an embedded server of one's own is ready, and until a command has answered.

The server is what each run, and each worker, pays. "Cached" is every start but the first one on a machine: the template
and, for root, the programs lie in the cache. The first start is measured with a cache folder of its own, so nobody's
cache is touched.

`lab --help`, as a whole process, takes turns with a Python that imports click and rich's console and nothing else. Each
of the commands takes turns with a bare Python, `python -c pass` of the same interpreter, and is shown as a multiple of
it. Modules are compiled and lists are kept beforehand, as they are from the second start on.

    python bench/start.py
    python bench/start.py --starts 1 --pairs 1 --commands list
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from unittest import mock

from _common import Spread, show

import lab
from lab.postgres.server import install
from lab.postgres.server.embedded import embedded_server

BUG = "scenarios.transfer:LostUpdate"
AT_MOST = {"list": 8, "replay": 25, "doctor": 15, "hunt": 30}
"""Times a bare Python that a command may take."""


def started() -> tuple[float, float]:
    """Milliseconds until ready, and until gone again."""
    before = perf_counter()
    server = embedded_server()
    ready = perf_counter()
    server.close()
    return 1000 * (ready - before), 1000 * (perf_counter() - ready)


def first_start() -> float:
    """Milliseconds of a start with an empty cache."""
    with tempfile.TemporaryDirectory(prefix="lab-first-") as folder:
        Path(folder).chmod(0o755)  # as a cache is: the server's account passes through it
        with mock.patch.object(install, "cache_folder", return_value=Path(folder)):
            return started()[0]


def answered() -> tuple[float, float]:
    """Milliseconds of `lab --help`, and of a process that imports click and rich's console."""
    program = Path(sys.executable).with_name("lab")
    return process([program, "--help"]), process([sys.executable, "-c", "import click, rich.console"])


def process(command: list[str | Path], *, status: int = 0) -> float:
    """Milliseconds of a process that ends with this status."""
    before = perf_counter()
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    passed = 1000 * (perf_counter() - before)
    if done.returncode != status:
        raise SystemExit(f"{' '.join(map(str, command[1:]))} ended with {done.returncode}: {done.stderr}")
    return passed


def commands_of(names: list[str]) -> dict[str, tuple[list[str], int]]:
    """Name -> (its arguments, its exit status). The token of a replay is that of the hunt."""
    hunt = ["hunt", BUG, "--no-remedies"]
    known = {"list": (["list"], 0), "doctor": (["doctor"], 0), "hunt": (hunt, 1)}
    if "replay" in names:
        program = [Path(sys.executable).with_name("lab"), *hunt, "--no-fresh", "--json"]
        found = json.loads(subprocess.run(program, capture_output=True, text=True, check=False).stdout)
        known["replay"] = (["replay", found["failures"][0]["token"]], 1)
    return {name: known[name] for name in names}


def multiples(names: list[str], pairs: int) -> dict[str, dict[str, float]]:
    """Each command as a multiple of a bare Python, its seconds and those of the Python."""
    with contextlib.redirect_stdout(io.StringIO()):
        for folder in (Path(lab.__file__).parent, Path.cwd() / "scenarios"):
            compileall.compile_dir(folder, quiet=2)
    program, found = Path(sys.executable).with_name("lab"), {}
    for name, (arguments, status) in commands_of(names).items():
        process([program, *arguments], status=status)
        turns = [
            (process([sys.executable, "-c", "pass"]), process([program, *arguments], status=status))
            for _ in range(pairs)
        ]
        bare, took = zip(*turns, strict=True)
        found[name] = {
            "ratio": round(statistics.median(took) / statistics.median(bare), 2),
            "seconds": round(statistics.median(took) / 1000, 3),
            "bare_seconds": round(statistics.median(bare) / 1000, 4),
            "at_most": AT_MOST[name],
        }
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=15, help="of `lab --help` and the imports that it needs")
    parser.add_argument("--commands", default=",".join(AT_MOST), help="comma-separated; empty for none")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    first = first_start()
    started()  # fills the cache where this machine has none yet
    ready, gone = zip(*(started() for _ in range(options.starts)), strict=True)
    answered()
    helped, imported = zip(*(answered() for _ in range(options.pairs)), strict=True)
    commands = multiples([each for each in options.commands.split(",") if each], options.pairs)
    result = {
        "starts": options.starts,
        "first_seconds": round(first / 1000, 3),
        "cached_seconds": round(Spread.of(ready).median / 1000, 3),
        "close_seconds": round(Spread.of(gone).median / 1000, 3),
        "help_seconds": round(Spread.of(helped).median / 1000, 3),
        "imports_seconds": round(Spread.of(imported).median / 1000, 3),
        "help_ratio": round(statistics.median(helped) / statistics.median(imported), 2),
        "commands": commands,
    }
    rows = [
        ("ready, template cached", Spread.of(ready)),
        ("closed", Spread.of(gone)),
        ("ready, nothing cached (once)", f"{first:.2f}"),
        ("lab --help, a process", Spread.of(helped)),
        ("import click, rich.console, a process", Spread.of(imported)),
        *(
            (f"lab {name}, a process", f"{1000 * each['seconds']:.0f}, {each['ratio']} times a bare Python")
            for name, each in commands.items()
        ),
    ]
    show(f"{options.starts} starts", ("what", "ms (quartiles)"), rows, result, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
