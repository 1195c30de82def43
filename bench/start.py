"""How long it takes until an embedded server of one's own is ready, and until `lab --help` has answered.

The server is what each run, and each worker, pays. "Cached" is every start but the first one on a machine: the template
and, for root, the programs lie in the cache. The first start is measured with a cache folder of its own, so nobody's
cache is touched.

`lab --help`, as a whole process, takes turns with a Python that imports click and rich's console and nothing else.

    python bench/start.py
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from unittest import mock

from _common import Spread, show

from lab.postgres.server import install
from lab.postgres.server.embedded import embedded_server


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


def process(command: list[str | Path]) -> float:
    before = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return 1000 * (perf_counter() - before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--starts", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=15, help="of `lab --help` and the imports that it needs")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    first = first_start()
    started()  # fills the cache where this machine has none yet
    ready, gone = zip(*(started() for _ in range(options.starts)), strict=True)
    answered()
    helped, imported = zip(*(answered() for _ in range(options.pairs)), strict=True)
    result = {
        "starts": options.starts,
        "first_seconds": round(first / 1000, 3),
        "cached_seconds": round(Spread.of(ready).median / 1000, 3),
        "close_seconds": round(Spread.of(gone).median / 1000, 3),
        "help_seconds": round(Spread.of(helped).median / 1000, 3),
        "imports_seconds": round(Spread.of(imported).median / 1000, 3),
        "help_ratio": round(statistics.median(helped) / statistics.median(imported), 2),
    }
    rows = [
        ("ready, template cached", Spread.of(ready)),
        ("closed", Spread.of(gone)),
        ("ready, nothing cached (once)", f"{first:.2f}"),
        ("lab --help, a process", Spread.of(helped)),
        ("import click, rich.console, a process", Spread.of(imported)),
    ]
    show(f"{options.starts} starts", ("what", "ms (quartiles)"), rows, result, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
