"""What is kept of hunts, for the terminal: the list, one of them, and what became of known violations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from lab.model.text import count
from lab.report.tables import plain_table

__all__ = ["hunt_shown_lines", "hunts_table", "known_lines"]

Row = Mapping[str, Any]
_COLUMNS = ("hunt", "begun (UTC)", "target", "scheduler", "level", "state", "verdict", "executions", "failures")
_WORDS = {
    "fails": "still fails",
    "fixed": "no longer fails, marked as fixed",
    "changed": "marked as changed",
    "not tried": "not tried",
}


def hunts_table(rows: Iterable[Row]) -> Table:
    """The hunts, as `lab hunts --json` shows them."""
    return plain_table(_COLUMNS, map(_row, rows))


def _row(row: Row) -> tuple[str, ...]:
    level = row["isolation"] or "its own"
    numbers = str(row["executions"]), str(row["failures"])
    began = row["begun"][:19].replace("T", " ")
    texts = (row["id"], began, row["target"], row["scheduler"], level, row["state"], row["verdict"] or "-")
    return (*map(escape, texts), *numbers)


def hunt_shown_lines(row: Row, known: Iterable[Row]) -> Iterator[str]:
    """One hunt, as `lab hunts show --json` shows it, and what is known of its failures."""
    verdict = f", {row['verdict']}" if row["verdict"] else ""
    yield f"{row['id']}: {row['target']}: {row['state']}{verdict}"
    runs, traces = count(row["executions"], "execution"), count(row["distinct_traces"], "distinct trace")
    every = "; every schedule of this scheduler was run" if row["exhausted"] else ""
    yield f"{runs}, {traces}, {row['seconds']:.1f} s · {row['scheduler']}{every}"
    yield f"begun {row['begun']}, ended {row['ended'] or '-'}; level: {row['isolation'] or 'its own'}"
    yield ", ".join(f"{name} {each}" for name, each in row["versions"].items() if each)
    if row["parameters"]:
        yield "parameters: " + ", ".join(f"{name}={each!r}" for name, each in row["parameters"].items())
    if row["reason"]:
        yield f"why: {row['reason']}"
    states = {(each["checker"], each["broken"]): each for each in known}
    for failure in row["failures"]:
        yield ""
        yield failure["report"]
        if (its := states.get((failure["checker"], failure["broken"]))) and its["state"] != "fails":
            yield f"{_WORDS[its['state']]} on {its['judged'][:10]}"
    if row["state"] in ("interrupted", "dead"):
        yield ""
        yield f"it goes on with: lab hunt --resume {row['id']}"


def known_lines(known: Iterable[Row]) -> Iterator[str]:
    """What the replays of known violations said."""
    for each in known:
        where = f"hunt {each['hunt']}" if each["hunt"] else each["test"]
        level = f" at {each['isolation']}" if each["isolation"] else ""
        detail = f": {each['detail']}" if each["detail"] else ""
        found = f"{each['broken']!r}{level}, found {each['found'][:10]} by {where}"
        yield f"KNOWN  {found}: {_WORDS[each['state']]}{detail}"
        if each["state"] == "fails":
            yield f"       lab replay {each['token']}"
