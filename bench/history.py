"""What judging a history costs: the graph check of one execution, and a large external history.

An execution: 4 transactions of 10 statements each, as the lab records them. An external history: 10,000 transactions
of list-append, through the whole of `lab check-history` in a process of its own, with its largest memory. Both with a
history that has nothing wrong, and with one that is full of lost updates.

    python bench/history.py
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from _common import Spread, show

from lab.checkers.isolation.judge import judge
from lab.model.history import INITIAL, History, Operation, PredicateRead, Read, Transaction, Version, Write

ITEMS = 10
STATEMENTS = 10
KEYS = 200
OPERATIONS = 5


def execution(rng: random.Random, *, late: float) -> History:
    """Four transactions, run one after the other; each read sees what was there before with this chance."""
    installed: dict[str, list[Version]] = {f"row {number}": [INITIAL] for number in range(ITEMS)}
    matching: set[tuple[str, Version]] = {(item, INITIAL) for item in installed if rng.random() < 0.5}
    transactions = []
    for name in ("alice", "bob", "carol", "dave"):
        operations: list[Operation] = []
        own: dict[str, Version] = {}

        def seen(item: str, own: dict[str, Version] = own) -> Version:
            versions = installed[item]
            old = len(versions) > 1 and rng.random() < late
            return own.get(item) or versions[-2 if old else -1]

        for step in range(1, STATEMENTS + 1):
            item, kind = f"row {rng.randrange(ITEMS)}", rng.random()
            if kind < 0.4:
                own[item] = Version(name, own[item].number + 1 if item in own else 1)
                operations.append(Write(item, step, str(step)))
                if rng.random() < 0.5:
                    matching.add((item, own[item]))
            elif kind < 0.8:
                operations.append(Read(item, seen(item), step, str(step)))
            else:
                operations.append(PredicateRead("it matches", tuple((row, seen(row)) for row in installed), step))
        transactions.append(Transaction(name, tuple(operations), actor=name))
        for item, version in own.items():
            installed[item].append(version)
    orders = {item: (tuple(versions[1:]),) for item, versions in installed.items()}
    return History(tuple(transactions), orders, {"it matches": frozenset(matching)})


def external(rng: random.Random, transactions: int, *, late: float) -> dict[str, object]:
    """A list-append history; keys are used up, as in Elle's runs, so that lists stay short."""
    lists: dict[str, list[int]] = {}
    before: dict[str, list[int]] = {}
    done = []
    for number in range(transactions):
        operations: list[list[object]] = []
        first = number // 20
        for place in range(OPERATIONS):
            key = f"x{(first + rng.randrange(10)) % (transactions // 10 + KEYS)}"
            values = lists.setdefault(key, [])
            if rng.random() < 0.5:
                before[key] = list(values)
                values.append(number * OPERATIONS + place)
                operations.append(["append", key, values[-1]])
            else:
                own = any(each[1] == key for each in operations)
                operations.append(
                    ["read", key, list(before.get(key, ()) if not own and rng.random() < late else values)]
                )
        done.append({"operations": operations})
    return {"model": "list-append", "transactions": done}


def checked(history: dict[str, object]) -> tuple[float, dict[str, object]]:
    """Seconds of `lab check-history` on a history, in a process of its own, and what it said."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(history, file)
        file.flush()
        before = perf_counter()
        command = [Path(sys.executable).with_name("lab"), "check-history", file.name, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return perf_counter() - before, json.loads(done.stdout)


def milliseconds(history: History) -> float:
    before = perf_counter()
    judge(history)
    return 1000 * (perf_counter() - before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--executions", type=int, default=500)
    parser.add_argument("--transactions", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = random.Random(1)
    rows: list[tuple[str, object, str]] = []
    result: dict[str, object] = {}
    for name, late in (("clean", 0.0), ("faulty", 0.3)):
        executions = [execution(rng, late=late) for _ in range(options.executions)]
        found = sum(not judge(each).serializable for each in executions)
        spread = Spread.of([milliseconds(each) for each in executions])
        result[f"execution_{name}_ms"] = round(spread.median, 3)
        result[f"execution_{name}_not_serializable"] = found
        rows.append((f"4 transactions of 10 statements, {name}: ms", spread, f"{found} not serializable"))
    for name, late in (("clean", 0.0), ("faulty", 0.3)):
        seconds, said = checked(external(rng, options.transactions, late=late))
        result[f"external_{name}_seconds"] = round(seconds, 2)
        result[f"external_{name}_verdict"] = said["verdict"]
        names = ", ".join(each["name"] for each in said["anomalies"])
        rows.append((f"{options.transactions} transactions, {name}: s", f"{seconds:.2f}", f"{said['verdict']} {names}"))
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    result["external_largest_mib"] = round(largest)
    rows.append(("largest memory of an external check: MiB", f"{largest:.0f}", ""))
    show("judging histories", ("what", "median [quartiles]", "found"), rows, result, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
