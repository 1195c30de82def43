"""Does a minimised failure have the least number of preemptions there is? For every planted bug, by brute force.

    python bench/minimise.py [--seeds 3] [--targets NAME …] [--most 5000] [--json]

For each planted bug and each kind of violation that a few random hunts show, the failure is minimised. Then, by other
code, every schedule with no more faults and at most 0, 1, 2 … preemptions is run until one breaks the same thing: that
is the least. `differs` in the last column is a defect of the minimiser; `unknown` says that brute force was not over
after `--most` executions.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from _common import show

from lab.errors import SearchOver
from lab.explore import Explorer
from lab.model.choices import Choices
from lab.model.record import ExecutionRecord
from lab.model.trace import Trace
from lab.postgres.server.place import Place
from lab.scenario.declare import Scenario, kind_of, target_of
from lab.scenario.registry import discover
from lab.schedulers import Scheduler, make_scheduler
from lab.shrink.minimise import minimise

TRIES = 100
"""Executions of each random hunt; it does not stop at the first violation."""


@dataclass
class Row:
    """One kind of violation of one planted bug, minimised from each seed that showed it."""

    target: str
    broken: str
    found: list[int]
    minimised: list[int]
    faults: int
    steps: list[int]
    spent: list[int]
    proved: int
    least: int | None
    tried: int

    @property
    def judgement(self) -> str:
        """What brute force says of the minimiser."""
        if self.least is None:
            return "unknown"
        return "" if set(self.minimised) == {self.least} else "differs"


class BoundedDepthFirst(Scheduler):
    """Every schedule with at most so many preemptions and faults, each once, by backtracking."""

    def __init__(self, preemptions: int, faults: int) -> None:
        super().__init__()
        self._most = preemptions, faults
        self._path: list[list[int]] = []
        """The decisions still to take at each step; the first is the current one."""
        self._depth = 0
        self._spent = [0, 0]
        self._began = False

    def begin(self, execution: int) -> bool:
        """The next schedule; over when none is left."""
        if self._began:
            while self._path and len(self._path[-1]) == 1:
                self._path.pop()
            if not self._path:
                return False
            self._path[-1].pop(0)
        self._began, self._depth, self._spent = True, 0, [0, 0]
        return True

    def choose(self, choices: Choices) -> int:
        """What the path says; behind it, the first choice that can still be afforded."""
        costs = [self._cost(choices, index) for index in range(len(choices.alternatives))]
        if self._depth == len(self._path):
            self._path.append(list(self._affordable(costs)))
        decision = self._path[self._depth][0]
        self._depth += 1
        self._spent = [a + b for a, b in zip(self._spent, costs[decision], strict=True)]
        return decision

    def end(self, trace: Trace) -> None:
        """Nothing to learn."""
        assert self._depth == len(self._path) == len(trace)

    def _cost(self, choices: Choices, index: int) -> tuple[int, int]:
        if choices.alternatives[index].is_fault:
            return 0, int(len(choices.alternatives) > 1)
        return int(bool(index) and choices.last_goes_on), 0

    def _affordable(self, costs: list[tuple[int, int]]) -> Iterator[int]:
        for index, cost in enumerate(costs):
            if all(a + b <= most for a, b, most in zip(self._spent, cost, self._most, strict=True)):
                yield index


async def failures(
    explorer: Explorer, scenario: Scenario, seed: int, tries: int
) -> dict[tuple[str, str], ExecutionRecord]:
    """The first failure of each kind in one random hunt."""
    scheduler = make_scheduler("random", seed)
    found: dict[tuple[str, str], ExecutionRecord] = {}
    for number in range(tries):
        record = await explorer.run(scenario, scheduler, execution=number)
        if record.failed:
            found.setdefault(record.findings[0].key, record)
    return found


async def least(
    explorer: Explorer, scenario: Scenario, key: tuple[str, str], faults: int, enough: int, most: int
) -> tuple[int | None, int]:
    """(the least number of preemptions, or None when it is not known; the executions spent)."""
    spent = 0
    for bound in range(enough + 1):
        scheduler = BoundedDepthFirst(bound, faults)
        with contextlib.suppress(SearchOver):
            while spent < most:
                record = await explorer.run(scenario, scheduler, execution=spent)
                spent += 1
                if key in {finding.key for finding in record.findings}:
                    return record.trace.preemptions, spent
            return None, spent
    raise AssertionError(f"{key} was minimised to {enough} preemptions, and brute force does not find it with as many")


async def rows(explorer: Explorer, cls: type[Scenario], seeds: int, tries: int, most: int) -> list[Row]:
    scenario = cls()
    made: dict[tuple[str, str], Row] = {}
    for seed in range(seeds):
        for key, record in (await failures(explorer, scenario, seed, tries)).items():
            smallest = await minimise(record, partial(explorer.run, scenario))
            trace = smallest.record.trace
            row = made.setdefault(key, Row(target_of(cls), key[1], [], [], trace.faults, [], [], 0, None, 0))
            row.found.append(record.trace.preemptions)
            row.minimised.append(trace.preemptions)
            row.faults = max(row.faults, trace.faults)
            row.steps.append(len(trace))
            row.spent.append(smallest.executions)
            row.proved += smallest.least
    for key, row in made.items():
        row.least, row.tried = await least(explorer, scenario, key, row.faults, max(row.minimised), most)
    return list(made.values())


async def measure(targets: list[str], seeds: int, tries: int, most: int) -> list[Row]:
    chosen = [cls for cls in discover() if kind_of(cls) == "planted" and (not targets or cls.__name__ in targets)]
    found = []
    with Place().server() as server:
        explorer = Explorer(server)
        try:
            for cls in chosen:
                found += await rows(explorer, cls, seeds, tries, most)
                print(f"{cls.__name__}: {[row.judgement or 'least' for row in found[-1:]]}", file=sys.stderr)
        finally:
            await explorer.aclose()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tries", type=int, default=TRIES, help="executions in which a seed looks for failures")
    parser.add_argument("--targets", nargs="*", default=[])
    parser.add_argument("--most", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sys.path.insert(0, str(Path.cwd()))  # the scenarios are in the folder from which this is started
    found = asyncio.run(measure(options.targets, options.seeds, options.tries, options.most))
    shown = [
        (
            row.target.partition(":")[2], row.broken[:34], row.found, row.minimised, row.steps, row.faults, row.spent,
            f"{row.proved}/{len(row.minimised)}", row.least, row.tried, row.judgement,
        )
        for row in found
    ]  # fmt: skip
    columns = (
        "planted bug",
        "broken",
        "found",
        "minimised",
        "steps",
        "faults",
        "spent",
        "proved",
        "least",
        "tried",
        "",
    )
    result = {"rows": [{**asdict(row), "judgement": row.judgement} for row in found]}
    show("preemptions of minimised failures", columns, shown, result, as_json=options.json)
    sys.exit(any(row.judgement == "differs" for row in found))


if __name__ == "__main__":
    main()
