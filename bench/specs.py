"""PostgreSQL's isolation specs by the lab and by its own isolationtester: same files, same server, taking turns.

    LAB_PG_SPECS=…/src/test/isolation python bench/specs.py --url postgresql://…
    python bench/specs.py --suite DIR --url URL --only deadlock-simple,two-ids

The isolationtester is Debian's of PostgreSQL 15 (`--isolationtester`), with the settings that PostgreSQL's own tests
give it. Of the rounds the quickest counts, for each spec and side: what is slower, others caused. `ratio` is the lab's
time over isolationtester's; specs with a lock wait and those without stand apart.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path

from _common import show

from lab.explore.spec.expected import beside, differences, expected_files, in_suite
from lab.explore.spec.reader import read_spec
from lab.explore.spec.stage import DATABASE, Stage, performed
from lab.postgres.server.server import Server, external_server

TESTER = Path("/usr/lib/postgresql/15/lib/pgxs/src/test/isolation/isolationtester")


def by_isolationtester(tester: Path, file: Path, server: Server) -> tuple[bytes, float]:
    """What it prints, and the seconds that it took."""
    known = server.connect
    names = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}
    env = {name: str(known[key]) for name, key in names.items() if known.get(key)}
    env |= {"PGTZ": "PST8PDT", "PGDATESTYLE": "Postgres, MDY", "PGAPPNAME": f"isolation/{file.stem}"}
    env |= {"PGOPTIONS": "-c intervalstyle=postgres_verbose"}
    began = time.perf_counter()
    with file.open("rb") as given:
        done = subprocess.run(
            [tester, f"dbname={DATABASE}"],
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **env},
            check=False,
        )
    return done.stdout, time.perf_counter() - began


async def compared(options: argparse.Namespace) -> list[dict[str, object]]:
    """A row for each spec."""
    server = external_server(options.url)
    files = [each for each in in_suite(options.suite) if not options.only or each.stem in options.only]
    lab: dict[Path, float] = {}
    other: dict[Path, float] = {}
    waits: dict[Path, int] = {}
    same: dict[Path, bool] = dict.fromkeys(files, True)
    async with aclosing(await Stage.open(server)) as stage:
        for _ in range(options.rounds):
            for file in files:
                output, seconds = by_isolationtester(options.isolationtester, file, server)
                other[file] = min(seconds, other.get(file, seconds))
                performance = await performed(stage, read_spec(file))
                lab[file] = min(performance.seconds, lab.get(file, performance.seconds))
                waits[file] = performance.waits
                known = expected_files(beside(file) or file.parent, file.stem)
                printed = performance.output.encode("utf-8", "surrogateescape")
                same[file] &= differences(printed, known)[0] is not None or printed == output
    return [
        {
            "spec": file.stem,
            "lock_waits": waits[file],
            "lab_ms": round(1000 * lab[file], 1),
            "isolationtester_ms": round(1000 * other[file], 1),
            "ratio": round(lab[file] / other[file], 2),
            "as_expected": same[file],
        }
        for file in files
    ]


def main() -> None:
    """The program. Exit status 1: a spec was not as expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", type=Path, default=os.environ.get("LAB_PG_SPECS"))
    parser.add_argument("--url", required=True)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--isolationtester", type=Path, default=TESTER, metavar="FILE")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.suite is None:
        parser.error("--suite or LAB_PG_SPECS: PostgreSQL's src/test/isolation")
    rows = asyncio.run(compared(options))

    def ratio(chosen: list[dict[str, object]]) -> float | None:
        whole = sum(float(str(row["isolationtester_ms"])) for row in chosen)
        return round(sum(float(str(row["lab_ms"])) for row in chosen) / whole, 3) if whole else None

    figures = {
        "specs": len(rows),
        "as_expected": sum(bool(row["as_expected"]) for row in rows),
        "ratio": ratio(rows),
        "ratio_with_lock_waits": ratio([row for row in rows if row["lock_waits"]]),
        "ratio_without": ratio([row for row in rows if not row["lock_waits"]]),
    }
    shown = [*([*row.values()] for row in rows), *([name, "", "", "", value, ""] for name, value in figures.items())]
    show("The lab and isolationtester", list(rows[0]), shown, {**figures, "rows": rows}, as_json=options.json)
    sys.exit(figures["as_expected"] != figures["specs"])


if __name__ == "__main__":
    main()
