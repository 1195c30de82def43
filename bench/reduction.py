"""Whether reduction misses an outcome: for small programs, all orders are run beside those that `dpor` runs.

Two tests. The outcomes under reduction (results, final rows, deadlock victims) must be those of brute force. And in
executions of `random`, two adjacent steps that count as independent are swapped: whatever follows must stay as it was.

    python bench/reduction.py                 # programs of two and three actors, each at three levels; some minutes
    python bench/reduction.py --programs 4 --no-catalogue    # a sample
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from _common import show
from _wide import wide as wide_program
from _workloads import ThreeSmall, TwoSmall

from lab.analysis.dependence import Move, dependent, scanned_tables
from lab.errors import SearchOver
from lab.explore import Explorer
from lab.model.choices import Choices
from lab.model.decision import Decision
from lab.model.decision_text import decision_text
from lab.model.record import ExecutionRecord
from lab.model.trace import Step, Trace
from lab.postgres.server.embedded import embedded_server
from lab.scenario.declare import ISOLATION_LEVELS, Scenario
from lab.scenario.registry import instance_of
from lab.schedulers import Scheduler, make_scheduler
from lab.schedulers.dpor import Dpor

MOST_ORDERS = 1500
"""Programs with more interleavings are left out: brute force would take too long."""
MOST_ORDERS_OF_WIDE = 150
"""The same for wide programs, of which more are run."""


class BruteForce(Scheduler):
    """Every interleaving once, by counting through the decisions like a counter with changing bases."""

    def __init__(self) -> None:
        super().__init__()
        self._path: list[list[int]] = []
        self._step = -1

    def begin(self, execution: int) -> bool:
        """The next path; over when the first decision has no alternative left."""
        if self._step >= 0:
            while self._path and self._path[-1][0] + 1 == self._path[-1][1]:
                self._path.pop()
            if not self._path:
                return False
            self._path[-1][0] += 1
        self._step = 0
        return True

    def choose(self, choices: Choices) -> int:
        """The decision of the path, 0 beyond it."""
        if self._step == len(self._path):
            self._path.append([0, len(choices.alternatives)])
        self._step += 1
        return self._path[self._step - 1][0]

    def end(self, trace: Trace) -> None:
        """Nothing to learn."""


class InTurn(Scheduler):
    """Takes the given decisions in turn; one that cannot be taken now is passed over: only the outcome is compared."""

    def __init__(self, decisions: list[Decision]) -> None:
        super().__init__()
        self._decisions = decisions

    def begin(self, execution: int) -> bool:
        """The same decisions each time."""
        return True

    def choose(self, choices: Choices) -> int:
        """The decision of this step, or the first one."""
        if choices.step >= len(self._decisions) or self._decisions[choices.step] not in choices.decisions:
            return 0
        return choices.decisions.index(self._decisions[choices.step])

    def end(self, trace: Trace) -> None:
        """Nothing to learn."""


@dataclasses.dataclass
class Program:
    """One program at one level: executions and outcomes by brute force and under reduction."""

    name: str
    level: str
    orders: int = 0
    reduced: int = 0
    outcomes: int = 0
    missed: int = 0


CATALOGUE = (
    *("LostUpdateAnomaly", "ReadSkewAnomaly", "WriteSkewAnomaly", "PhantomAnomaly", "ReadOnlyAnomaly"),
    *("CoreUpdatesInOppositeOrder", "OrmUpdatesInOppositeOrder", "AdvisoryLocksInOppositeOrder", "ShareToExclusive"),
    *("NoVersionCheck", "GetThenCreate", "ParentCheckedByTheApplication", "NameCheckedByTheApplication"),
)
"""Shipped scenarios with few interleavings."""


def programs(number: int, *, catalogue: bool) -> Iterator[tuple[Scenario, str]]:
    """Programs and levels: shipped scenarios and small programs at each level, two actors and three in turn."""
    for scenario in _narrow(number, catalogue=catalogue):
        for level in ISOLATION_LEVELS:
            yield scenario, level


def wide_programs(first: int) -> Iterator[tuple[Scenario, str]]:
    """Wide programs at one level each, beginning with this number."""
    for seed in itertools.count(first):
        yield wide_program(seed), ISOLATION_LEVELS[seed % 3]


def _narrow(number: int, *, catalogue: bool) -> Iterator[Scenario]:
    if catalogue:
        yield from map(instance_of, CATALOGUE)
    for seed in range(number):
        yield (TwoSmall if seed % 2 == 0 else ThreeSmall)(seed=seed)


async def outcomes(
    explorer: Explorer, scenario: Scenario, scheduler: Scheduler, level: str, most: int
) -> tuple[int, dict[str, ExecutionRecord]] | None:
    """Executions and outcomes of a search that ends; None if it would take too many."""
    found: dict[str, ExecutionRecord] = {}
    executions = 0
    with contextlib.suppress(SearchOver):
        while executions <= most:
            record = await explorer.run(scenario, scheduler, execution=executions, isolation=level)
            found.setdefault(record.outcome.digest(), record)
            executions += 1
    return (executions, found) if executions <= most else None


async def compare(explorer: Explorer, scenario: Scenario, level: str, most: int) -> Program | None:
    """Reduction against brute force; None for a program with too many orders."""
    program = Program(f"{type(scenario).__name__}({getattr(scenario, 'seed', '')})", level)
    by_force = await outcomes(explorer, scenario, BruteForce(), level, most)
    if by_force is None:
        return None
    program.orders, wanted = by_force
    under_reduction = await outcomes(explorer, scenario, Dpor(), level, 3 * most)  # it may begin again
    assert under_reduction is not None, "reduction ran more than brute force"
    program.reduced, found = under_reduction
    program.outcomes = len(wanted)
    for digest in wanted.keys() - found.keys():
        program.missed += 1
        record = wanted[digest]
        results = {name: result.text for name, result in record.outcome.results.items()}
        print(
            f"missed in {program}: {' '.join(decision_text(step.chosen) for step in record.trace)}: {results}",
            file=sys.stderr,
        )
    return program


async def swaps(explorer: Explorer, scenario: Scenario, level: str, seed: int, most: int) -> Counter[str]:
    """Swap each pair of adjacent independent steps of one random execution."""
    count: Counter[str] = Counter()
    scheduler = make_scheduler("random", seed)
    whole = await explorer.run(scenario, scheduler, isolation=level)
    scanned = scanned_tables(map(Move.of_step, whole.trace))
    for first, second in zip(whole.trace, whole.trace.steps[1:], strict=False):
        if count["pairs"] == most or not _swappable(first, second, scanned):
            continue
        decisions = [step.chosen for step in whole.trace]
        number = first.number - 1
        decisions[number : number + 2] = second.chosen, first.chosen
        other = await explorer.run(scenario, InTurn(decisions), isolation=level)
        count["pairs"] += 1
        if _seen(whole) != _seen(other):
            count["different"] += 1
            print(f"{scenario} at {level}: #{first.number} {first.action} {second.action}", file=sys.stderr)
    return count


class Knowing(Dpor):
    """The same search by one that asks about no statement twice, so it asks nothing once all were met."""

    @property
    def exact(self) -> bool:
        """What was seen before is good enough."""
        return False


COSTED = "LostUpdateAnomaly", "ReadOnlyAnomaly", "CoreUpdatesInOppositeOrder", "OrmUpdatesInOppositeOrder"
"""Scenarios of which exhaustive searches are timed with the lab's questions and without."""


async def cost_of_questions(explorer: Explorer, rounds: int) -> dict[str, float]:
    """By level, the time of exhaustive searches with the questions to the server, over that without, in turn.

    Of each search the fastest of its rounds counts. The first one of both, which learns, counts for nobody.
    """
    ratios: dict[str, float] = {}
    for level in ISOLATION_LEVELS:
        total: Counter[type[Dpor]] = Counter()
        for scenario in map(instance_of, COSTED):
            fastest: dict[type[Dpor], float] = {}
            for number in range(rounds + 1):
                for search in (Dpor, Knowing) if number % 2 else (Knowing, Dpor):
                    started = perf_counter()
                    await outcomes(explorer, scenario, search(), level, MOST_ORDERS)
                    if number:
                        fastest[search] = min(fastest.get(search, float("inf")), perf_counter() - started)
            total.update(fastest)  # type: ignore[arg-type] # a Counter of seconds
        ratios[level] = round(total[Dpor] / total[Knowing], 3)
    return ratios


def _swappable(first: Step, second: Step, scanned: frozenset[str]) -> bool:
    return second.chosen in first.alternatives and not dependent(Move.of_step(first), Move.of_step(second), scanned)


def _seen(record: ExecutionRecord) -> tuple[object, ...]:
    """What must not depend on the order of independent steps: the outcome, and each actor's own steps."""
    own: dict[str, list[object]] = {}
    for step in record.trace:
        own.setdefault(step.actor, []).append((step.action, step.woken, step.result, step.wait))
    return record.outcome, own


async def measure(
    number: int, pairs: int, most: int, *, catalogue: bool, wide: int, first: int, rounds: int
) -> tuple[list[Program], Counter[str], dict[str, float]]:
    """Both tests over the programs, each at every level, and what the questions cost."""
    sys.path.insert(0, str(Path(__file__).parent.parent))  # the shipped scenarios are not part of the package
    found: list[Program] = []
    swapped: Counter[str] = Counter()
    with embedded_server() as server:
        explorer = Explorer(server, learns=False)
        for scenario, level in programs(number, catalogue=catalogue):
            if (program := await compare(explorer, scenario, level, most)) is not None:
                found.append(program)
        wanted = len(found) + wide
        for scenario, level in wide_programs(first):
            if len(found) == wanted:
                break
            if (program := await compare(explorer, scenario, level, min(most, MOST_ORDERS_OF_WIDE))) is not None:
                found.append(program)
        seed = 0
        while swapped["pairs"] < pairs:
            if wide and seed % 2:
                scenario: Scenario = wide_program(first + seed // 2)
            else:
                scenario = (TwoSmall, ThreeSmall)[seed // (2 if wide else 1) % 2](seed=first + seed // 2)
            swapped += await swaps(explorer, scenario, ISOLATION_LEVELS[seed % 3], seed, pairs - swapped["pairs"])
            seed += 1
        cost = await cost_of_questions(explorer, rounds) if rounds else {}
        await explorer.aclose()
    return found, swapped, cost


def main() -> None:
    """Parse, measure, print; exit status 1 if an outcome was missed or a swap made a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--most", type=int, default=MOST_ORDERS, help="interleavings of a program that is not left out")
    parser.add_argument(
        "--wide",
        type=int,
        default=600,
        help="programs over all that hides what a statement touches",
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first wide program")
    parser.add_argument("--cost", type=int, default=0, help="rounds in which the cost of questions is measured")
    parser.add_argument("--no-catalogue", action="store_true", help="leave the shipped scenarios out")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    started = perf_counter()
    found, swapped, cost = asyncio.run(
        measure(
            options.programs,
            options.pairs,
            options.most,
            catalogue=not options.no_catalogue,
            wide=options.wide,
            first=options.first,
            rounds=options.cost,
        )
    )
    missed = sum(program.missed for program in found)
    rows = [
        (each.name, each.level, str(each.orders), str(each.reduced), str(each.outcomes), str(each.missed))
        for each in found
    ]
    show(
        f"{len(found)} programs at a level each, {swapped['pairs']} pairs swapped, {swapped['different']} differed"
        + "".join(f"; questions at {level} x {ratio}" for level, ratio in cost.items()),
        ("program", "level", "orders", "reduced", "outcomes", "missed"),
        rows,
        {
            "programs": len(found),
            "orders": sum(each.orders for each in found),
            "reduced": sum(each.reduced for each in found),
            "outcomes": sum(each.outcomes for each in found),
            "several": sum(each.outcomes > 1 for each in found),
            "missed": missed,
            "pairs_swapped": swapped["pairs"],
            "different": swapped["different"],
            "cost_of_questions": cost,
            "last": found[-1].name if found else "",
            "seconds": round(perf_counter() - started, 1),
        },
        as_json=options.json,
    )
    sys.exit(1 if missed or swapped["different"] else 0)


if __name__ == "__main__":
    main()
