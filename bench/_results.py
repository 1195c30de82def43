"""Makes a page of what the benches printed: the machine, and a table of figures for each."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["figures", "libraries", "machine", "page"]

LIBRARIES = "SQLAlchemy", "asyncpg", "hypothesis", "networkx", "greenlet", "anyio"
LONGEST = 6
"""Numbers of a list that are shown; of a longer one the least and the largest are."""


def machine() -> dict[str, str]:
    """What the figures depend on. No name of the machine, and no path."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": f"{_processor()}, {usable} cores",
        "memory": f"{gib:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "load when it began": " ".join(f"{each:.2f}" for each in os.getloadavg()),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def libraries() -> dict[str, str]:
    """Name -> installed version."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.machine()


def figures(result: Mapping[str, object]) -> Iterator[str]:
    """The lines of what a bench printed as JSON: a table of single figures, then one for each list or map of rows."""
    single = {name: value for name, value in result.items() if not _rows(value)}
    if single:
        yield from _table(("figure", "value"), single.items())
    for name, value in result.items():
        if rows := _rows(value):
            columns = list(dict.fromkeys(column for row in rows for column in row))
            yield ""
            yield f"{name}:"
            yield ""
            yield from _table(columns, [[row.get(column, "") for column in columns] for row in rows])


def _rows(value: object) -> list[Mapping[str, object]]:
    """A list of objects as rows, or an object of objects with the names in front; nothing for anything else."""
    if isinstance(value, Mapping) and value and all(isinstance(each, Mapping) for each in value.values()):
        return [{"": name, **each} for name, each in value.items()]
    if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        return value
    return []


def _table(columns: Sequence[str], rows: object) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _cell(value: object) -> str:
    if isinstance(value, list) and len(value) > LONGEST and all(isinstance(each, int | float) for each in value):
        return f"{min(value)} … {max(value)} ({len(value)})"
    if isinstance(value, list):
        return ", ".join(map(_cell, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(each)}" for name, each in value.items())
    return "-" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def page(
    date: str, mode: str, facts: Mapping[str, str], sections: Mapping[str, tuple[str, Sequence[str], object]]
) -> str:
    """The page. `sections`: name -> (what the bench measures, its options, its result or a sentence)."""
    lines = [
        "# Results",
        "",
        f"Written by `python bench/all.py{mode}` on {date}. Ratios within one run can be compared; the rest is of this",
        "machine. What each program measures and what is expected stands in [README.md](README.md).",
        "",
        *_table(("machine", ""), facts.items()),
    ]
    for name, (summary, options, result) in sections.items():
        lines += ["", f"## {name}", "", f"{summary} `python bench/{' '.join((name, *options))}`", ""]
        lines += [str(result)] if not isinstance(result, Mapping) else list(figures(result))
    return "\n".join(lines) + "\n"
