"""Reports of records that hold texts of every kind: how many fail, and how long one takes.

Each record is drawn by chance (`tests/helpers/records.py`): control characters, halves of characters, markup, integers
of 5,000 digits, placeholders without values, empty and long texts, in statements, results, errors, histories and lines
of code. A failure is a traceback, a part that says that the lab could not write it, or a character that moves a cursor.

    python bench/reporting.py
    python bench/reporting.py --records 20000 --seed 5 --json
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from time import perf_counter

from _common import Spread, show

from lab.errors import printable
from lab.report.failure import failure_report

RECORDS = 2000


def main() -> int:
    """Print the figures; exit status 1 if a report failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from helpers.records import failure  # noqa: PLC0415 - found only now

    chance, milliseconds, failed = random.Random(options.seed), [], 0
    for _ in range(options.records):
        made = failure(chance)
        began = perf_counter()
        report = failure_report(made)
        milliseconds.append(1000 * (perf_counter() - began))
        failed += "a defect of its own" in report or printable(report) != report
    spread = Spread.of(milliseconds)
    show(
        f"{options.records} reports, {failed} of them failed",
        ("one report, ms", "slowest"),
        [(spread, f"{max(milliseconds):.1f}")],
        {"records": options.records, "failed": failed, "median_ms": spread.median, "slowest_ms": max(milliseconds)},
        as_json=options.json,
    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
