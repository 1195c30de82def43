"""Options that several commands have. This file loads little: the help of all commands needs it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from lab.postgres.server.versions import DEFAULT_VERSION, VERSIONS
from lab.scenario.declare import ISOLATION_LEVELS

__all__ = ["CheckedCommand", "HuntCommand", "SchedulerCommand", "json_option", "level_option", "server_options"]

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


def level_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option that names an isolation level; its help says what for."""
    return click.option("--isolation", type=click.Choice(ISOLATION_LEVELS, case_sensitive=False), help=text)


class CheckedCommand(click.Command):
    """A command that can be asked for checks beside a scenario's own invariants.

    Its option is made when the command is used or its help shown, and not before: listing the checks loads them all.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own, then the checks."""
        *own, last = super().get_params(ctx)  # the last is --help
        return [*own, _check_option(), last]


class SchedulerCommand(click.Command):
    """A command with the option `--scheduler`.

    It is made when the command is used or its help shown, and not before: to list the schedulers loads them all.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The scheduler first, then the command's own."""
        return [_scheduler_option(), *super().get_params(ctx)]


class TunedCommand(SchedulerCommand):
    """A command that also has an option for each option of a scheduler."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The scheduler and its options first, then the command's own."""
        scheduler, *own = super().get_params(ctx)
        return [scheduler, *_options_of_schedulers(), *own]


class HuntCommand(TunedCommand, CheckedCommand):
    """A command with the options of schedulers and of checks."""


@functools.cache
def _check_option() -> click.Option:
    from lab.checkers import askable

    checks = askable()
    meanings = " ".join(f"{name}: {meaning}." for name, meaning in checks.items())
    return click.Option(
        ["--check", "checks"],
        type=click.Choice(list(checks)),
        multiple=True,
        help=f"Also check this, beside the scenario's invariants. {meanings}",
    )


@functools.cache
def _scheduler_option() -> click.Option:
    from lab.schedulers import DEFAULT, SCHEDULERS

    return click.Option(["--scheduler"], type=click.Choice(sorted(SCHEDULERS)), default=DEFAULT, show_default=True)


@functools.cache
def _options_of_schedulers() -> tuple[click.Option, ...]:
    """Each option of a scheduler by its name; not given, it is None."""
    return (
        click.Option(
            ["--depth"], type=click.IntRange(min=1), help="Of the scheduler pct: ordering constraints. [default: 3]"
        ),
        click.Option(["--preemptions"], type=click.IntRange(min=0), help="Of the scheduler dfs: how many at most."),
    )
