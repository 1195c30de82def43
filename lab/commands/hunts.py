"""`lab hunts`: the hunts that are kept in `.lab/`: all of them, one of them, and forgetting."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from lab.commands.console import out, show_json
from lab.commands.options import json_option

if TYPE_CHECKING:
    from lab.search.kept.store import Store

__all__ = ["command"]

_LISTED = ("id", "target", "scheduler", "seed", "isolation", "begun", "ended", "state", "verdict", "reason")
_COUNTED = ("executions", "distinct_traces", "exhausted", "seconds")


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """List the hunts that are kept, newest first.

    They are in the file .lab/hunts.sqlite beside the pyproject.toml. `lab hunts show ID` shows one, `lab hunt --resume
    ID` lets one go on that was interrupted, and `lab hunts forget` forgets.
    """
    if ctx.invoked_subcommand is None:
        from lab.report.kept import hunts_table

        store = _store()
        rows = [] if store is None else [_listed(row, row["failures"]) for row in store.hunts()]
        if as_json:
            show_json(rows)
        elif rows:
            out.print(hunts_table(rows))
        else:
            out.out("no hunts are kept here")


@command.command("show")
@click.argument("name", metavar="ID")
@json_option
def show(name: str, *, as_json: bool) -> None:
    """Show the hunt ID: what was asked, how far it came, and its failures with their tokens.

    The first letters of an ID will do.
    """
    from lab.report.kept import hunt_shown_lines
    from lab.search.kept.known import Known

    store = _insisted()
    row = store.hunt(name)
    failures = store.failures(row["id"])
    job = row["job"]
    shown = {
        **_listed(row, [{**each["shown"], "report": each["report"]} for each in failures]),
        "parameters": job["parameters"],
        "options": job["options"],
        "checks": job["conditions"]["checks"],
        "keep_going": job["keep_going"],
        "versions": row["versions"],
        "outcomes": row["outcomes"],
    }
    if as_json:
        show_json({**shown, "failures": [each["shown"] for each in failures]})
        return
    known = [{name: getattr(each, name) for name in each.__slots__} for each in Known(store.file).all()]
    for line in hunt_shown_lines(shown, [each for each in known if each["target"] == row["target"]]):
        out.out(line)


@command.command("forget")
@click.argument("name", required=False, metavar="[ID]")
@click.option("--before", metavar="DATE", help="Forget all that began before this day, as in 2026-01-31 (UTC).")
def forget(name: str | None, before: str | None) -> None:
    """Forget the hunt ID, or those before DATE, but for those that still run.

    What is known of their failures stays: it is replayed before the next hunt of the scenario.
    """
    from lab.errors import UsageError

    if bool(name) == bool(before):
        raise UsageError("give the id of a hunt, or --before DATE")
    day = _day(before) if before else ""
    gone = _insisted().forget(name=name or "", before=day)
    out.out(f"forgotten: {', '.join(gone) or 'nothing'}")


def _day(text: str) -> str:
    from lab.errors import UsageError

    try:
        day = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--before {text}: a date is written as in 2026-01-31") from None
    return (day if day.tzinfo else day.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="milliseconds")


def _store() -> Store | None:
    from lab.search.kept.file import KeptFile
    from lab.search.kept.folder import file_of
    from lab.search.kept.store import Store

    file = KeptFile.open_to_read(file_of())
    return None if file is None else Store(file)


def _insisted() -> Store:
    from lab.errors import UsageError
    from lab.search.kept.folder import file_of

    if (store := _store()) is None:
        raise UsageError(f"no hunts are kept here: there is no {file_of()}")
    return store


def _listed(row: dict[str, Any], failures: Any) -> dict[str, Any]:
    from lab.search.kept.store import state_of

    counted = {name: row[name] for name in _COUNTED} | {"exhausted": bool(row["exhausted"])}
    return {**{name: row[name] for name in _LISTED}, "state": state_of(row), **counted, "failures": failures}
