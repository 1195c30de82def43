"""`lab invariants`: keeps INVARIANTS.md and what was run the same."""

from __future__ import annotations

from pathlib import Path

import click

from lab.commands.console import err, out
from lab.commands.options import bound_options, server_options, workers_of, workers_option
from lab.model.verdict import Verdict

__all__ = ["command"]

FILE = Path("INVARIANTS.md")
DIFFERENCES_SHOWN = 20


@click.command()
@click.option("--check", "task", flag_value="check", help="Fail if INVARIANTS.md does not match the scenarios.")
@click.option("--write", "task", flag_value="write", help="Write INVARIANTS.md.")
@workers_option("Processes to run with. [default: 2]")
@server_options
@bound_options("step", "setup", "invariant", "imports")
async def command(*, task: str | None, workers: int | str | None, url: str | None, version: str) -> str:
    """Compare INVARIANTS.md with the scenarios, or write it: run every claim and every token."""
    from lab.engine.watchdog import importing
    from lab.postgres.server.place import Place
    from lab.report.chronicle import document
    from lab.scenario.registry import discover
    from lab.search.chronicle import collect
    from lab.search.garbage import settled

    if task is None:
        raise click.UsageError("give --check or --write")
    with importing():
        scenarios = discover()
    settled()
    place = Place(url, int(version))
    with place.server() as server, err.status("running the claims") as status:
        entries = await collect(server, place, scenarios, workers_of(workers, default=2), status.update)
    size = f"{len(entries)} invariants, {sum(len(entry.bugs) for entry in entries)} bugs"
    return _written(document(entries), size) if task == "write" else _compared(document(entries), size)


def _written(text: str, size: str) -> str:
    try:
        FILE.write_text(text)
    except OSError as error:
        raise click.UsageError(f"{FILE} cannot be written: {error.strerror or error}") from None
    out.out(f"wrote {FILE}: {size}")
    return Verdict.PASS


def _compared(text: str, size: str) -> str:
    import difflib

    before = FILE.read_text() if FILE.exists() else ""
    if before == text:
        out.out(f"{FILE} is current: {size}")
        return Verdict.PASS
    out.out(f"{FILE} does not match the scenarios; `lab invariants --write` updates it")
    difference = difflib.unified_diff(before.splitlines(), text.splitlines(), "written", "run", lineterm="", n=0)
    for line, _ in zip(difference, range(DIFFERENCES_SHOWN), strict=False):
        out.out(line)
    return Verdict.FAIL
