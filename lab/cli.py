"""The command line: a thin shell.

Exit status 0: no violation; 1: a violation; 2: wrong use; 3: inconclusive, or the lab or the server failed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from lab.checkers import askable
from lab.errors import LabError
from lab.postgres.server.install import DEFAULT_VERSION, VERSIONS
from lab.scenario.declare import ISOLATION_LEVELS
from lab.schedulers import DEFAULT, SCHEDULERS

__all__ = ["main"]

EXIT = {"pass": 0, "fail": 1, "inconclusive": 3}
BROKEN = 3

WIDTH = 120
"""Columns where the output is no terminal."""

out = Console(highlight=False, width=None if sys.stdout and sys.stdout.isatty() else WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON value on standard output.")


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say which server to use."""
    command = click.option(
        "--url", envvar="LAB_URL", help="An external PostgreSQL; the lab works in databases of its own there."
    )(command)
    return click.option(
        "--postgres",
        "version",
        type=click.Choice([str(version) for version in sorted(VERSIONS, reverse=True)]),
        default=str(DEFAULT_VERSION),
        show_default=True,
        help="Major version of the embedded server.",
    )(command)


def level_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that overrides a scenario's isolation level."""
    return click.option(
        "--isolation",
        type=click.Choice(ISOLATION_LEVELS, case_sensitive=False),
        help="Run every transaction at this isolation level instead of the scenario's own.",
    )(command)


def check_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that asks for checks beside a scenario's own invariants."""
    checks = askable()
    meanings = " ".join(f"{name}: {meaning}." for name, meaning in checks.items())
    return click.option(
        "--check",
        "checks",
        type=click.Choice(list(checks)),
        multiple=True,
        help=f"Also check this, beside the scenario's invariants. {meanings}",
    )(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="concurrency-lab", prog_name="lab")
def cli() -> None:
    """Interleave async SQLAlchemy sessions on a real PostgreSQL; find, shrink and replay races."""


@cli.command("list")
@click.argument("package", default="scenarios")
@json_option
def list_(package: str, *, as_json: bool) -> None:
    """Scenarios, their variants, planted bugs and invariants in PACKAGE (default: scenarios)."""
    from lab.scenario.catalogue import entries  # noqa: PLC0415 - each command loads only what it needs

    found = entries(package)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for each in found:
        of = f" of {each['of']}" if each["of"] else ""
        click.echo(f"{each['target']}  {each['kind']}{of}  {each['isolation']}  {', '.join(each['actors'])}")
        for invariant in each["invariants"]:
            click.echo(f"    {invariant}")
        for check in each["checks"]:
            click.echo(f"    {check} (default)")


@cli.command()
@click.argument("target", required=False)
@click.option("--scheduler", type=click.Choice(sorted(SCHEDULERS)), default=DEFAULT, show_default=True)
@click.option("--depth", type=click.IntRange(min=1), help="Of the scheduler pct: ordering constraints. [default: 3]")
@click.option("--preemptions", type=click.IntRange(min=0), help="Of the scheduler dfs: how many at most.")
@click.option("--executions", type=click.IntRange(min=1), help="How many at most. [default: 200]")
@click.option(
    "--seconds", type=click.FloatRange(min=0), help="Stop after this time; without TARGET it is for each scenario."
)
@click.option("--seed", type=int, default=0, show_default=True)
@level_option
@check_option
@click.option("--workers", type=click.IntRange(min=1), help="Processes to hunt with. [default: 1; 2 without TARGET]")
@click.option(
    "--no-breakpoints",
    "breakpoints",
    flag_value=False,
    default=True,
    help="Never pause a statement between two rows that it locks.",
)
@click.option("--keep-going", is_flag=True, help="Do not stop at the first violation.")
@click.option(
    "--remedies/--no-remedies",
    default=True,
    show_default=True,
    help="Try what may help against a violation of TARGET, and say what it costs; never with --seconds.",
)
@server_options
@json_option
def hunt(target: str | None, **options: Any) -> int:
    """Search schedules of TARGET (module:Class or a short name) for a violation.

    Without TARGET, hunt everything listed: every right variant must pass and every planted bug be found.
    """
    from lab.commands.hunt import hunt_all, hunt_target  # noqa: PLC0415

    # An empty TARGET is a script's unset variable: it must not pass for "everything".
    return _status(hunt_all(out, err, **options) if target is None else hunt_target(out, err, target, **options))


@cli.command()
@click.argument("target")
@click.option("--scheduler", type=click.Choice(sorted(SCHEDULERS)), default=DEFAULT, show_default=True)
@click.option("--executions", type=click.IntRange(min=1), default=100, show_default=True, help="At each level.")
@click.option("--seed", type=int, default=0, show_default=True)
@server_options
@json_option
def matrix(target: str, **options: Any) -> int:
    """Run TARGET at each isolation level: verdict, anomalies, aborts, lock waits and time.

    All executions are run, also after a violation. Exit status 0: no violation at the scenario's own level; 1: a
    violation there, whatever the other levels show; 3: inconclusive there. Where actors state levels of their own, the
    scenario as it stands has a row of its own.
    """
    from lab.commands.matrix import show_matrix  # noqa: PLC0415

    return _status(show_matrix(out, err, target, **options))


@cli.command()
@click.argument("token")
@click.option("--times", type=click.IntRange(min=1), default=5, show_default=True, help="How often.")
@check_option
@server_options
@json_option
def replay(token: str, **options: Any) -> int:
    """Repeat exactly the execution that TOKEN names, and say how many of the replays were identical."""
    from lab.commands.hunt import replay_token  # noqa: PLC0415

    return _status(replay_token(out, err, token, **options))


@cli.command("check-history")
@click.argument("file")
@click.option(
    "--isolation",
    type=click.Choice(ISOLATION_LEVELS, case_sensitive=False),
    help="Judge every transaction by this isolation level instead of the one that FILE states.",
)
@json_option
def check_history(file: str, **options: Any) -> int:
    """Judge the transactions that FILE tells of: did anything happen that their isolation level promises to prevent.

    FILE is JSON, as docs/history.md describes it; - reads standard input.
    """
    from lab.commands.check_history import check_file  # noqa: PLC0415

    return EXIT[check_file(out, file, **options)]


@cli.command()
@server_options
@json_option
def doctor(**options: Any) -> int:
    """Server, privileges, and what of the lock control works here."""
    from lab.commands.doctor import examine  # noqa: PLC0415

    return _status(examine(out, err, **options))


@cli.command()
@click.option("--check", "task", flag_value="check", help="Fail if INVARIANTS.md is not what the scenarios say.")
@click.option("--write", "task", flag_value="write", help="Write INVARIANTS.md.")
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help="Processes to run with.")
@server_options
def invariants(task: str | None, **options: Any) -> int:
    """Hold INVARIANTS.md against the scenarios: run every claim and every token, and compare or write."""
    from lab.commands.invariants import keep_invariants  # noqa: PLC0415

    if task is None:
        raise click.UsageError("say --check or --write")
    return _status(keep_invariants(out, err, write=task == "write", **options))


def _status(command: Coroutine[Any, Any, str]) -> int:
    return EXIT[asyncio.run(command)]


def main() -> None:
    """Entry point of the console script."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        status = cli(standalone_mode=False) or 0
        if sys.stdout:
            sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except LabError as error:
        _say(str(error))
        status = error.exit_status
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        status = BROKEN
    except SystemExit:
        # No command exits by itself. click and rich do when nobody reads standard output any more, and with 1, which
        # here means a violation.
        status = _unread()
    except BrokenPipeError:
        status = _unread()
    except OSError as error:
        _say(f"cannot go on: {error}")
        status = _unread()
    except Exception:  # noqa: BLE001 - a defect of the lab: its own exit status, never that of a violation
        traceback.print_exc()
        status = BROKEN
    sys.exit(status)


def _say(sentence: str) -> None:
    err.print(f"lab: {sentence}", markup=False)


def _unread() -> int:
    """Nothing more can be written: let what is buffered go nowhere, instead of failing once more at the exit."""
    if sys.stdout:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN
