"""Runs the benches one after the other and writes what they found to `bench/RESULTS.md`, with machine and date.

Quick is some minutes and shows that all works; the full run takes hours and wants a machine that does nothing else.
Each bench runs in a process of its own. One that fails has its last words on the page instead of figures, and the exit
status is 1; the others run nevertheless.

    python bench/all.py --quick
    python bench/all.py
    python bench/all.py --only start.py,throughput.py
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from _results import libraries, machine, page

from lab.postgres.server.cluster import Cluster
from lab.postgres.server.embedded import embedded_server

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"


@dataclass(frozen=True)
class Bench:
    """A bench and the options of its quick run; the full run has its defaults."""

    name: str
    quick: tuple[str, ...] = ()
    full: tuple[str, ...] = ()


BENCHES = (
    Bench("start.py", ("--starts", "3", "--pairs", "3"), ("--starts", "20", "--pairs", "21")),
    Bench("overhead.py", ("--pairs", "20")),
    Bench("always.py", ("--pairs", "20")),
    Bench("throughput.py", ("--rounds", "3", "--executions", "30", "--hunts", "1")),
    Bench(
        "first_bug.py",
        ("--seeds", "3", "--executions", "60", "--targets", "transfer,deadlock", "--schedulers", "random,portfolio"),
    ),
    Bench("replay.py", ("--executions", "100", "--unfrozen", "10")),
    Bench("memory.py", ("--executions", "200", "--every", "20", "--kept", "20")),
    Bench("history.py", ("--executions", "20", "--transactions", "500")),
    Bench("reporting.py", ("--records", "100")),
    Bench("minimise.py", ("--seeds", "1", "--tries", "10", "--targets", "LostUpdate")),
)
"""Left out are those that look for errors in the lab and say so by their exit status: reduction, faults, endurance."""


def run(name: str, options: tuple[str, ...]) -> object:
    """What a bench printed, as JSON; or a sentence with its last words."""
    command = [sys.executable, HERE / name, *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE.parent)
    try:
        return json.loads(done.stdout)
    except ValueError:
        words = done.stderr.strip().splitlines() or ["no message"]
        return f"It ended with {done.returncode}: {words[-1]}"


def server_version() -> str:
    """Of the embedded server."""

    async def asked() -> str:
        cluster = await Cluster.open(server)
        major, minor = divmod(cluster.abilities.version, 10000)
        await cluster.close()
        return f"{major}.{minor}, embedded"

    with embedded_server() as server:
        return asyncio.run(asked())


def summary_of(name: str) -> str:
    """The first sentence of a bench."""
    lines = (HERE / name).read_text().split("\n\n")[0].removeprefix('"""').splitlines()
    return " ".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="some minutes instead of some hours")
    parser.add_argument("--only", default="", help="names of benches, comma-separated")
    parser.add_argument("--to", type=Path, default=RESULTS, help="the file to write")
    options = parser.parse_args()
    wanted = [each for each in options.only.split(",") if each]
    unknown = sorted({*wanted} - {each.name for each in BENCHES})
    if unknown:
        parser.error(f"no bench {unknown[0]}; there are {', '.join(each.name for each in BENCHES)}")
    facts = {**machine(), "PostgreSQL": server_version(), **libraries()}
    date = dt.datetime.now(dt.UTC).date().isoformat()
    mode = " --quick" * options.quick + f" --only {options.only}" * bool(wanted)
    sections: dict[str, tuple[str, tuple[str, ...], object]] = {}
    for each in BENCHES:
        if wanted and each.name not in wanted:
            continue
        given = each.quick if options.quick else each.full
        started = perf_counter()
        sections[each.name] = summary_of(each.name), given, run(each.name, given)
        sys.stderr.write(f"{each.name}: {perf_counter() - started:.0f} s\n")
        options.to.write_text(page(date, mode, facts, sections))  # what is known by now outlives an interruption
    return 1 if any(isinstance(result, str) for _, _, result in sections.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
