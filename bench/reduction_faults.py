"""Whether a fault in the dependence relation shows: one rule is taken out at a time, and wide programs are run with it.

A fault is found when reduction misses an outcome that brute force finds. What is never found is either not needed, or
the programs are not wide enough.

    python bench/reduction_faults.py                  # up to 300 programs for each fault
    python bench/reduction_faults.py --programs 60 --only _waits_meet
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from typing import Any

from _common import show
from _wide import ThreeWide, TwoWide
from _workloads import ThreeSmall, TwoSmall
from reduction import compare

from lab.analysis import dependence
from lab.explore import Explorer
from lab.model import footprint
from lab.model.footprint import Deferred
from lab.postgres.server.embedded import embedded_server
from lab.postgres.statements import footprints
from lab.postgres.statements.shapes import Relations
from lab.scenario.declare import ISOLATION_LEVELS, Scenario

MOST_ORDERS = 400


@contextlib.contextmanager
def replaced(place: Any, name: str, value: object) -> Iterator[None]:
    """The attribute has this value until the block ends."""
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


def without(rule: Callable[..., bool]) -> contextlib.AbstractContextManager[None]:
    """The dependence relation without one of its rules."""
    return replaced(dependence, "RULES", tuple(each for each in dependence.RULES if each is not rule))


FAULTS: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    **{rule.__name__: (lambda rule=rule: without(rule)) for rule in dependence.RULES},
    "what is not understood touches nothing": lambda: replaced(dependence, "EVERYTHING", footprint.Footprint()),
    "what the server says is not asked": lambda: replaced(
        Deferred,
        "_with_what_was_seen",
        lambda self, held: self._own,
    ),
    "the catalog always agrees": lambda: replaced(footprints, "agree", lambda claims, shapes, *, changes: True),
    "no function is wild": lambda: replaced(Relations, "is_wild", lambda self, text: False),
    "single rows are watched, never a table": lambda: replaced(footprint, "_widened", lambda access, wholly: access),
    "an entry of an index is no news to a reader": lambda: replaced(
        dependence,
        "_meet_on_a_page",
        lambda read, write: read.reads and write.writes and read.rows.meet(write.rows),
    ),
}


def programs() -> Iterator[tuple[Scenario, str]]:
    """Wide and narrow programs in turn, each at one level."""
    seed = 0
    while True:
        kind = (TwoWide, TwoSmall, TwoWide, ThreeWide, TwoWide, ThreeSmall)[seed % 6]
        yield kind(seed=seed), ISOLATION_LEVELS[seed % 3 if kind is not ThreeSmall else (seed // 6) % 3]
        seed += 1


async def first_found(explorer: Explorer, name: str, most: int) -> tuple[str, int]:
    """The first program in which the fault shows, "" for none, and how many were run."""
    with FAULTS[name](), contextlib.redirect_stderr(io.StringIO()):
        run = 0
        for scenario, level in programs():
            program = await compare(explorer, scenario, level, MOST_ORDERS)
            if program is None:
                continue
            run += 1
            if program.missed:
                return f"{program.name} at {level}", run
            if run == most:
                return "", run
    raise AssertionError


async def measure(names: list[str], most: int) -> list[tuple[str, str, str]]:
    """Each fault with where it was found."""
    found = []
    with embedded_server() as server:
        for name in names:
            async with contextlib.aclosing(Explorer(server, learns=False)) as explorer:
                where, run = await first_found(explorer, name, most)
            found.append((name, where or "not found", str(run)))
    return found


def main() -> None:
    """Parse, measure, print; exit status 1 if a fault was not found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=300)
    parser.add_argument("--only", choices=FAULTS, action="append")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = asyncio.run(measure(options.only or list(FAULTS), options.programs))
    missed = [name for name, where, _ in rows if where == "not found"]
    values = {"faults": {name: {"found": where, "programs": int(run)} for name, where, run in rows}, "missed": missed}
    show(
        f"{len(rows) - len(missed)} of {len(rows)} faults found",
        ("fault", "found in", "programs"),
        rows,
        values,
        as_json=options.json,
    )
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
