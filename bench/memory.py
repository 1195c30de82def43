"""How much memory the lab and its server take over many executions, and what a kept trace costs. Linux only.

The lab is this process, its server PostgreSQL's and the backends. What several processes share is counted in parts for
each (the proportional set size of /proc). The growth is a straight line through the samples of the second half: caches
and pools have been filled by then. What a kept execution costs is what Python has allocated more for so many records.

    python bench/memory.py
    python bench/memory.py --executions 300 --every 50 --kept 20 --json
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import sys
import tracemalloc
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path

from _common import show

from lab.explore import Explorer
from lab.postgres.server.embedded import embedded_server
from lab.postgres.server.server import Server
from lab.scenario.registry import instance_of
from lab.schedulers import make_scheduler

TARGET = "scenarios.transfer:Transfer"
PROC = Path("/proc")
MIB = 1024 * 1024


@dataclass(frozen=True)
class Sample:
    """Memory after so many executions, in MiB."""

    executions: int
    lab: float
    server: float


def own_memory(pid: int) -> float:
    """MiB of a process, what it shares with others in parts; 0 if it is gone."""
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def processes_of(server: int) -> list[int]:
    """The server's process and its children."""
    found = [server]
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            found += [int(folder.name)] if int(parent) == server else []
    return found


def sampled(executions: int, server: Server) -> Sample:
    gc.collect()
    of_server = sum(map(own_memory, processes_of(server.pid or 0)))
    return Sample(executions, round(own_memory(os.getpid()), 2), round(of_server, 2))


def growth(samples: Sequence[tuple[int, float]]) -> float:
    """KiB more for each execution, by the second half of the samples (executions, MiB); 0 for fewer than four."""
    late = samples[len(samples) // 2 :]
    if len(samples) < 4:
        return 0.0
    return 1024 * statistics.linear_regression([each for each, _ in late], [each for _, each in late]).slope


async def over_executions(server: Server, executions: int, every: int) -> list[Sample]:
    """Samples of a run that keeps nothing."""
    scenario, scheduler = instance_of(TARGET), make_scheduler("random", 1)
    samples = []
    async with aclosing(Explorer(server)) as explorer:
        for number in range(executions):
            await explorer.run(scenario, scheduler, execution=number)
            if (number + 1) % every == 0:
                samples.append(sampled(number + 1, server))
    return samples


async def of_a_record(server: Server, kept: int) -> float:
    """KiB that Python allocates for one record that is kept."""
    scenario, scheduler = instance_of(TARGET), make_scheduler("random", 1)
    async with aclosing(Explorer(server)) as explorer:
        for number in range(5):
            await explorer.run(scenario, scheduler, execution=number)
        tracemalloc.start()
        try:
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            records = [await explorer.run(scenario, scheduler, execution=number) for number in range(5, 5 + kept)]
            gc.collect()
            return (tracemalloc.get_traced_memory()[0] - before) / 1024 / len(records)
        finally:
            tracemalloc.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--executions", type=int, default=5000)
    parser.add_argument("--every", type=int, default=250, help="executions between two samples")
    parser.add_argument("--kept", type=int, default=200, help="records that are kept to see what one costs")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not (PROC / "self" / "smaps_rollup").exists():
        sys.stderr.write("memory.py needs /proc/self/smaps_rollup, which Linux has\n")
        return 3
    sys.path.insert(0, str(Path.cwd()))
    with embedded_server() as server:
        samples = asyncio.run(over_executions(server, options.executions, options.every))
        record = asyncio.run(of_a_record(server, options.kept))
    result = {
        "executions": options.executions,
        "lab_mib": round(samples[-1].lab, 1),
        "server_mib": round(samples[-1].server, 1),
        "lab_kib_per_execution": round(growth([(each.executions, each.lab) for each in samples]), 3),
        "server_kib_per_execution": round(growth([(each.executions, each.server) for each in samples]), 3),
        "kept_record_kib": round(record, 2),
        "samples": [asdict(each) for each in samples],
    }
    rows = [
        ("the lab", f"{result['lab_mib']} MiB", f"{result['lab_kib_per_execution']} KiB"),
        ("its server", f"{result['server_mib']} MiB", f"{result['server_kib_per_execution']} KiB"),
        ("an execution that is kept", f"{result['kept_record_kib']} KiB", ""),
    ]
    show(
        f"{options.executions} executions", ("what", "memory", "more per execution"), rows, result, as_json=options.json
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
