"""`lab invariants`: keeps INVARIANTS.md and what was run the same."""

from __future__ import annotations

import difflib
from pathlib import Path

from rich.console import Console

from lab.model.verdict import Verdict
from lab.postgres.server.place import Place
from lab.report.chronicle import document
from lab.scenario.claims import Entry
from lab.scenario.registry import discover
from lab.search.chronicle import collect

__all__ = ["keep_invariants"]

FILE = Path("INVARIANTS.md")
DIFFERENCES_SHOWN = 20


async def keep_invariants(
    out: Console, err: Console, *, write: bool, workers: int, url: str | None, version: str
) -> str:
    """Run every claim and every token; write the document, or compare it and say where it differs."""
    place = Place(url, int(version))
    with place.server() as server, err.status("running the claims") as status:
        entries = await collect(server, place, discover(), workers, status.update)
    return _keep(out, entries, write=write)


def _keep(out: Console, entries: list[Entry], *, write: bool) -> str:
    text = document(entries)
    if write:
        FILE.write_text(text)
        out.out(f"wrote {FILE}: {len(entries)} invariants, {sum(len(entry.bugs) for entry in entries)} bugs")
        return Verdict.PASS
    before = FILE.read_text() if FILE.exists() else ""
    if before == text:
        out.out(f"{FILE} is current: {len(entries)} invariants, {sum(len(entry.bugs) for entry in entries)} bugs")
        return Verdict.PASS
    out.out(f"{FILE} is not what the scenarios say; `lab invariants --write` renews it")
    difference = difflib.unified_diff(before.splitlines(), text.splitlines(), "written", "run", lineterm="", n=0)
    for line, _ in zip(difference, range(DIFFERENCES_SHOWN), strict=False):
        out.out(line)
    return Verdict.FAIL
