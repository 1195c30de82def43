"""Whether a fault in the dependence relation shows: one is planted at a time, and programs are run with it.

A fault is found where reduction misses an outcome that brute force finds, or where the lab contradicts itself, as a
hunt does it (`lab/analysis/tally.py`): reduction's own executions and some random ones have one trace with two
outcomes, or the random ones have an outcome that reduction does not. A rule whose fault is never found is not needed,
or the programs are too tame. Two faults change only who waits when: swapped steps show them (`TELLING_SWAPS`).

Programs in which a fault was found before are run first (`TELLING`), then narrow and wide ones in turn. What brute
force finds does not depend on the fault, so it runs once for each program.

    python bench/reduction_faults.py                  # some minutes
    python bench/reduction_faults.py --no-telling --programs 300 --only _waits_meet
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any

from _common import show
from _telling import Crossed, LateTrigger, LocksOfThree, OnOnePage, ReadOnly
from _wide import ThreeWide, TwoWide, wide
from _workloads import ThreeSmall, TwoSmall
from reduction import BruteForce, outcomes, swaps

from lab import Scenario
from lab.analysis import dependence
from lab.analysis.tally import HuntResult
from lab.errors import SearchOver
from lab.explore import Explorer
from lab.model import footprint
from lab.model.footprint import Access, Deferred, Footprint
from lab.model.record import ExecutionRecord
from lab.model.trace import ActionKind
from lab.postgres.server.embedded import embedded_server
from lab.postgres.statements import footprints, pieces, remembered
from lab.postgres.statements.pieces import Piece
from lab.postgres.statements.shapes import Relations, Shape
from lab.scenario.declare import ISOLATION_LEVELS
from lab.schedulers import make_scheduler
from lab.schedulers.dpor import Dpor

MOST_ORDERS = 150
NO_FAULT = "no fault"
SAMPLES = 20
"""Random executions beside those of reduction, for the lab's own check."""
Fault = Callable[[], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def replaced(place: Any, name: str, value: object) -> Iterator[None]:
    """The attribute has this value until the block ends; nothing that was read of statements outlives it."""
    before = getattr(place, name)
    setattr(place, name, value)
    _forget()
    try:
        yield
    finally:
        setattr(place, name, before)
        _forget()


def _forget() -> None:
    remembered._by_form.clear()  # noqa: SLF001
    remembered._by_key.clear()  # noqa: SLF001


def without(rule: Callable[..., bool]) -> contextlib.AbstractContextManager[None]:
    """The dependence relation without one of its rules."""
    return replaced(dependence, "RULES", tuple(each for each in dependence.RULES if each is not rule))


def resolved(change: Callable[[Footprint], Footprint]) -> contextlib.AbstractContextManager[None]:
    """Every footprint that is known, changed."""
    honest = Deferred.resolved

    def changed(self: Deferred) -> Footprint | None:
        found = honest(self)
        return None if found is None else change(found)

    return replaced(Deferred, "resolved", changed)


def accessed(change: Callable[[Access], Access]) -> contextlib.AbstractContextManager[None]:
    """Every access of a footprint that is known, changed."""
    return resolved(
        lambda found: replace(found, accesses=tuple(map(change, found.accesses)), held=tuple(map(change, found.held)))
    )


@contextlib.contextmanager
def both(*faults: contextlib.AbstractContextManager[None]) -> Iterator[None]:
    """Several faults at a time: each alone is made good by the other's part."""
    with contextlib.ExitStack() as stack:
        for each in faults:
            stack.enter_context(each)
        yield


def unasked() -> contextlib.AbstractContextManager[None]:
    """What the server says is not heard. Alone it is no fault: what is not understood then touches everything."""
    return replaced(Deferred, "_with_what_was_seen", lambda self, held: self._own)


def known_by_name(claims: Iterable[tuple[str, object]], shapes: Mapping[str, Shape], *, changes: bool) -> bool:
    """Whether there are tables of these names, whatever their keys are."""
    return all(name in shapes for name, _ in claims)


def no_pieces(*_: object, **__: object) -> Iterator[Piece]:
    """In the place of what a statement touches besides its rows."""
    return iter(())


FAULTS: dict[str, Fault] = {
    **{f"rule {rule.__name__}": partial(without, rule) for rule in dependence.RULES},
    "what is not understood touches nothing": lambda: replaced(dependence, "EVERYTHING", Footprint()),
    "the catalog agrees with every name": lambda: replaced(footprints, "agree", known_by_name),
    "the catalog agrees, and the server is not asked": lambda: both(
        replaced(footprints, "agree", known_by_name),
        unasked(),
    ),
    "no function is wild": lambda: replaced(Relations, "is_wild", lambda self, text: False),
    "single rows are watched, never a table": lambda: replaced(footprint, "_widened", lambda access, wholly: access),
    "an entry of an index is no news to a reader": lambda: replaced(
        dependence,
        "_meet_on_a_page",
        lambda read, write: read.reads and write.writes and read.rows.meet(write.rows),
    ),
    "a new row locks no unique key": lambda: replaced(footprints, "unique_keys", no_pieces),
    "a changed row keeps no other key": lambda: replaced(footprints, "_kept_keys", no_pieces),
    "a new row locks no parent, and the server is not asked": lambda: both(
        replaced(footprints, "parent_locks", no_pieces), unasked()
    ),
    "a key is known though the statement changes it": lambda: replaced(
        footprints, "key_of", lambda bindings, table, without=(): pieces.key_of(bindings, table)
    ),
    "no order of rows shows": lambda: accessed(lambda each: replace(each, scans=False)),
    "locks are all weak": lambda: accessed(lambda each: replace(each, lock=min(each.lock, footprint.Lock.KEY_SHARE))),
    "nobody reads": lambda: accessed(lambda each: replace(each, reads=False)),
    "nothing is held": lambda: resolved(lambda found: replace(found, held=())),
    "no statement takes the snapshot": lambda: resolved(lambda found: replace(found, snapshot=False)),
    "every level is the lowest": lambda: resolved(lambda found: replace(found, level="READ COMMITTED")),
    "the release of a savepoint is noticed by nobody": lambda: replaced(
        dependence,
        "_ENDS",
        dependence._ENDS - {ActionKind.RELEASE},  # noqa: SLF001
    ),
}
TELLING: dict[str, str] = {
    "rule _locks_clash": "TwoSmall 2",
    "rule _waits_meet": "LocksOfThree 0",
    "rule _one_sees": "TwoWide 0",
    "rule _read_meets_write": "OnOnePage 2",
    "rule _one_ends": "ReadOnly 2",
    "rule _both_publish": "LateTrigger 0",
    "the catalog agrees, and the server is not asked": "TwoWide 88",
    "an entry of an index is no news to a reader": "OnOnePage 2",
    "rule _order_of_writes_shows": "ThreeSmall 3",
    "what is not understood touches nothing": "TwoWide 2",
    "no function is wild": "TwoWide 229",
    "locks are all weak": "Crossed 0",
    "a new row locks no unique key": "Crossed 3",
    "a changed row keeps no other key": "Crossed 6",
    "a new row locks no parent, and the server is not asked": "Crossed 9",
    "the catalog agrees with every name": "Crossed 12",
    "a key is known though the statement changes it": "Crossed 15",
    "single rows are watched, never a table": "OnOnePage 5",
    "no order of rows shows": "ThreeSmall 3",
    "nobody reads": "ThreeWide 3",
    "nothing is held": "ThreeWide 3",
    "no statement takes the snapshot": "TwoWide 58",
    "every level is the lowest": "OnOnePage 2",
}
"""A program in which the fault was found: its kind and seed."""
TELLING_SWAPS: dict[str, tuple[str, int]] = {
    "rule _third_waits": ("ThreeSmall 383", 166),
    "the release of a savepoint is noticed by nobody": ("TwoWide 666", 133),
}
"""A program, and the seed of a random execution of it, in which two steps that seem independent are not: swapped, they
change the waits of others. Their outcomes have other ways to come about, so none is missed."""


@dataclass
class Bench:
    """Programs with all that brute force finds in them, and the faults that are held against it."""

    explorer: Explorer
    wanted: dict[tuple[str, int, str], frozenset[str] | None] = field(default_factory=dict)
    """Outcomes of a program by name, seed and level; None where it has too many orders."""

    async def all_outcomes(self, scenario: Any, level: str) -> frozenset[str] | None:
        """What brute force finds; where that takes minutes (`LocksOfThree`), what reduction without a fault does."""
        key = type(scenario).__name__, scenario.seed, level
        if key not in self.wanted:
            large = isinstance(scenario, (LocksOfThree, ReadOnly))
            search, most = (Dpor(), 1000) if large else (BruteForce(), MOST_ORDERS)
            found = await outcomes(self.explorer, scenario, search, level, most)
            self.wanted[key] = None if found is None else frozenset(found[1])
        return self.wanted[key]

    async def shows(self, fault: Fault, scenario: Scenario, level: str) -> tuple[bool, str] | None:
        """Whether an outcome is missed, and what the lab says to it; None for a program that is left out."""
        wanted = await self.all_outcomes(scenario, level)
        if wanted is None:
            return None
        with fault():
            tally = HuntResult("", 0)
            found = await self._note(tally, scenario, level, Dpor(), 3 * MOST_ORDERS)
            complete = len(found) < 3 * MOST_ORDERS
            await self._note(tally, scenario, level, make_scheduler("random", 0), SAMPLES)
            tally.ended({each.outcome.digest() for each in found}, complete=complete)
        reduced = {each.outcome.digest() for each in found}
        return bool(wanted - reduced), "; ".join(each.partition(": ")[2] for each in tally.unsearched)

    async def _note(
        self, tally: HuntResult, scenario: Scenario, level: str, scheduler: Any, most: int
    ) -> list[ExecutionRecord]:
        """Executions of a search that are no more than so many, taken in by the tally as a hunt does it."""
        found: list[ExecutionRecord] = []
        while len(found) < most:
            try:
                record = await self.explorer.run(scenario, scheduler, execution=len(found), isolation=level)
            except SearchOver:
                break
            tally.note(tally.coverage.count(record.trace, sampled=False), record.outcome.digest())
            found.append(record)
        return found


KINDS = {
    each.__name__: each
    for each in (TwoSmall, ThreeSmall, TwoWide, ThreeWide, LocksOfThree, LateTrigger, OnOnePage, ReadOnly, Crossed)
}
Program = tuple[Any, str]
"""A scenario and the level that it is run at."""


def program(name: str) -> Program:
    """A program by its kind and seed."""
    kind, _, seed = name.partition(" ")
    return KINDS[kind](seed=int(seed)), ISOLATION_LEVELS[int(seed) % 3]


def in_turn() -> Iterator[Program]:
    """Wide and narrow programs in turn, each at one level."""
    for seed in itertools.count():
        yield wide(seed), ISOLATION_LEVELS[seed % 3]
        if seed % 2 == 0:
            yield program(f"{(TwoSmall, ThreeSmall)[seed // 2 % 2].__name__} {seed // 2}")


@dataclass(frozen=True)
class Found:
    """Where a fault was found, "" for nowhere, by what, and after how many programs."""

    program: str = ""
    missed: bool = False
    contradiction: str = ""
    programs: int = 0
    swapped: bool = False

    @property
    def by(self) -> str:
        """By what, for people."""
        return "; ".join(
            filter(
                None,
                ("missed outcome" if self.missed else "", self.contradiction, "swapped steps" if self.swapped else ""),
            )
        )


async def first_found(bench: Bench, fault: Fault, ahead: Iterable[Program], most: int) -> Found:
    """The first program in which the fault shows."""
    run = 0
    for scenario, level in ahead:
        shown = await bench.shows(fault, scenario, level)
        if shown is None:
            continue
        run += 1
        if any(shown):
            return Found(f"{type(scenario).__name__} {scenario.seed} at {level}", *shown, run)
        if run == most:
            break
    return Found(programs=run)


async def shown_by_swaps(explorer: Explorer, fault: Fault, name: str, seed: int) -> Found:
    """Whether independent steps of one random execution are not independent."""
    scenario, _ = program(name)
    level = ISOLATION_LEVELS[seed % 3]
    with fault(), contextlib.redirect_stderr(io.StringIO()):
        count = await swaps(explorer, scenario, level, seed, MOST_ORDERS)
    return Found(f"{name} at {level}" if count["different"] else "", programs=1, swapped=bool(count["different"]))


async def measure(names: list[str], most: int, *, telling: bool) -> dict[str, Found]:
    """Each fault with where it was found; "no fault" is held against all of their telling programs."""
    found: dict[str, Found] = {}
    with embedded_server() as server:
        async with contextlib.aclosing(Explorer(server, learns=False)) as explorer:
            bench = Bench(explorer)
            for name in names:
                if name in TELLING_SWAPS:
                    found[name] = await shown_by_swaps(explorer, FAULTS[name], *TELLING_SWAPS[name])
                    assert not (await shown_by_swaps(explorer, contextlib.nullcontext, *TELLING_SWAPS[name])).swapped
                    continue
                first = [program(TELLING[name])] if telling and name in TELLING else []
                found[name] = await first_found(bench, FAULTS[name], itertools.chain(first, in_turn()), most)
                print(name, found[name], file=sys.stderr, flush=True)
            control = sorted({TELLING[name] for name in names if name in TELLING})
            found[NO_FAULT] = await first_found(bench, contextlib.nullcontext, map(program, control), len(control))
    return found


def main() -> None:
    """Parse, measure, print; exit status 1 if a fault was not found, or one where there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=300, help="for each fault at most")
    parser.add_argument("--only", choices=FAULTS, action="append")
    parser.add_argument("--no-telling", action="store_true", help="do not begin with programs that are known to tell")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    started = perf_counter()
    found = asyncio.run(measure(options.only or list(FAULTS), options.programs, telling=not options.no_telling))
    wrong = [name for name, each in found.items() if bool(each.program) is (name == NO_FAULT)]
    show(
        f"{len(found) - 1 - len({*wrong} - {NO_FAULT})} of {len(found) - 1} faults found",
        ("fault", "found in", "by", "programs"),
        [(name, each.program or "not found", each.by, str(each.programs)) for name, each in found.items()],
        {
            "faults": {name: asdict(each) for name, each in found.items()},
            "wrong": wrong,
            "seconds": round(perf_counter() - started, 1),
        },
        as_json=options.json,
    )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
