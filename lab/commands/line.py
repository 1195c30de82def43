"""The command line: a thin shell around the table of commands.

Exit status 0: no violation; 1: a violation; 2: wrong use; 3: inconclusive, or the lab or the server failed.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from lab.commands import COMMANDS
from lab.commands.console import err, show_failure
from lab.commands.options import bounds_of
from lab.errors import LabError, UsageError, printable
from lab.model.secret import without_urls
from lab.model.verdict import Verdict
from lab.scenario.pyproject import find_modules, settings

__all__ = ["main"]

EXIT = {None: 0, Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3}
"""What a command returned -> exit status."""
BROKEN = 3
COMPLETE = "LAB_COMPLETE"
"""The end of the variable by which a shell asks for completion; click makes its name of the program's."""
SHOWN_VERSIONS = ("SQLAlchemy", "asyncpg", "hypothesis")
SETTABLE = {
    "url": "url",
    "postgres": "version",
    "executions": "executions",
    "scheduler": "scheduler",
    "workers": "workers",
}
"""Key of `[tool.lab]` -> the parameter of commands whose default it is."""


class Commands(click.Group):
    """The commands of the table. Each is loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command

    def invoke(self, ctx: click.Context) -> int:
        """Run a command; returns the exit status."""
        stated = settings()
        values = {
            name: str(value) if name == "version" else value
            for key, name in SETTABLE.items()
            if (value := getattr(stated, key)) is not None
        }
        ctx.default_map = dict.fromkeys(COMMANDS, values)
        try:
            result = super().invoke(ctx)
        except click.BadParameter as error:
            raise _of_settings(error, stated.file) from None
        if not inspect.iscoroutine(result):
            return EXIT[result]
        from lab.commands.guard import guarded

        try:
            guard = guarded(bounds_of(ctx))
        except click.exceptions.Exit:
            result.close()  # it has been run in the child
            raise

        return guard.end(ended(lambda: EXIT[guard.run(result)]))


def _of_settings(error: click.BadParameter, file: str) -> Exception:
    """The same error, or one that names pyproject.toml, if the value is from there."""
    name = error.param.name if error.param is not None else None
    if error.ctx is None or name is None or error.ctx.get_parameter_source(name) is not ParameterSource.DEFAULT_MAP:
        return error
    key = next((key for key, each in SETTABLE.items() if each == name), name)
    return UsageError(f"{file}: [tool.lab] has {key} = {error.ctx.lookup_default(name)!r}: {error.message}")


def _show_versions(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Print what a report of a defect has to say."""
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    def shown(name: str) -> str:
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            return f"{name} (not installed)"

    lab = shown("concurrency-lab").replace("concurrency-lab", "lab")
    number = ".".join(map(str, sys.version_info[:3]))
    click.echo(", ".join([lab, f"Python {number}", *map(shown, SHOWN_VERSIONS)]))
    ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_versions,
    help="Show versions and exit.",
)
def cli() -> None:
    """Interleave async SQLAlchemy sessions on a real PostgreSQL; find, shrink and replay races."""


def main() -> None:
    """Run the command line of this process; leaves by `SystemExit`."""
    sys.exit(ended(_whole))


def _whole() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # one that was ignored from the start stays ignored
            signal.signal(number, signal.default_int_handler)
    try:
        find_modules()
    except FileNotFoundError:
        raise UsageError("the working folder is gone; run the lab from one that exists") from None
    try:
        status = cli(standalone_mode=False, prog_name="lab") or 0
    except SystemExit as left:
        if not any(name.endswith(COMPLETE) for name in os.environ):
            raise
        status = left.code if isinstance(left.code, int) else BROKEN  # click ends a completion so
    if sys.stdout:
        with contextlib.suppress(ValueError):  # closed, by code of the user's
            sys.stdout.flush()
    return int(status)


def ended(action: Callable[[], int]) -> int:
    """The exit status of an action, also of one that fails; its error is printed."""
    try:
        return action()
    except click.ClickException as error:
        text = io.StringIO()
        error.show(text)
        click.echo(printable(without_urls(text.getvalue())), err=True, nl=False)
        show_failure(without_urls(error.format_message()), error.exit_code)
        return error.exit_code
    except LabError as error:
        _say(str(error), error.exit_status)
        return error.exit_status
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
    except (SystemExit, BrokenPipeError):
        # No command exits by itself. click and rich do when nobody reads standard output any more, and with 1, which
        # here means a violation.
        _unread()
    except OSError as error:
        _say(f"cannot go on: {error}")
        _unread()
    except Exception:  # noqa: BLE001 - a defect of the lab: its own exit status, never that of a violation
        import traceback

        err.print(without_urls(traceback.format_exc()), markup=False)
        show_failure("a defect of the lab; standard error has its traceback", BROKEN)
    return BROKEN


def _say(sentence: str, status: int = BROKEN) -> None:
    err.print(f"lab: {printable(without_urls(sentence))}", markup=False)
    show_failure(without_urls(sentence), status)


def _unread() -> None:
    """Nothing more can be written: let what is buffered go nowhere, instead of failing once more at the exit."""
    if sys.stdout:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
