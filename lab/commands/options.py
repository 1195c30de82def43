"""Options that several commands have. This file loads little: the help of all commands needs it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lab.model.bounds import OPTIONS, Bounds
from lab.postgres.server.versions import DEFAULT_VERSION, VERSIONS
from lab.scenario.declare import ISOLATION_LEVELS

if TYPE_CHECKING:
    from lab.schedulers import Option

__all__ = [
    "CheckedCommand",
    "HuntCommand",
    "SchedulerCommand",
    "bound_options",
    "bounds_of",
    "fault_options",
    "json_option",
    "level_option",
    "server_options",
    "workers_of",
    "workers_option",
]

AUTO = "auto"
_META = "lab.bounds"
_BOUNDED = {
    "step": "one step of an actor",
    "setup": "the setup",
    "invariant": "an invariant",
    "imports": "the import of a module",
}
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON value on standard output.")


def server_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say which server to use."""
    command = click.option(
        "--url", envvar="LAB_URL", help="An external PostgreSQL; the lab works in databases of its own there."
    )(command)
    return version_option(command)


def version_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that says which embedded server to use."""
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


def fault_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say which faults may strike beside those that a scenario lists."""
    command = click.option(
        "--faults-at-most",
        type=click.IntRange(min=0),
        metavar="N",
        help="How many faults may strike in an execution. [default: what the scenario says, which is 1 by default]",
    )(command)
    return click.option(
        "--faults",
        "added_faults",
        default="",
        metavar="NAME,…",
        callback=_faults_of,
        help="Faults that may strike beside those that the scenario lists, as cancel,kill: see docs/howto/faults.md.",
    )(command)


def _faults_of(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    """The names. Raises `UsageError` for one that is no fault's."""
    if not value:
        return ()
    from lab.engine.faults import asked_for

    return asked_for(each.strip() for each in value.split(","))


class _Workers(click.IntRange):
    """A number of processes, or as many as are sensible here."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or `auto`."""
        return AUTO if value == AUTO else super().convert(value, param, ctx)


def workers_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option that says how many processes there are; its help says what for."""
    more = f"{AUTO}: one for each core that this process may use, 8 at most."
    return click.option("--workers", type=_Workers(min=1), metavar="N|auto", help=f"{text} {more}")


def workers_of(value: int | str | None, *, default: int) -> int:
    """How many processes the value of that option asks for."""
    from lab.search.crew.cores import sensible_workers

    return sensible_workers() if value == AUTO else int(value or default)


class CheckedCommand(click.Command):
    """A command that can be asked for checks beside a scenario's own invariants.

    Its option is made when the command is used or its help shown, and not before: listing the checks loads them all.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own, then the checks."""
        *own, last = super().get_params(ctx)  # the last is --help
        return [*own, _check_option(), last]


class SchedulerCommand(click.Command):
    """A command with the option `--scheduler`, and an option for each that some scheduler declares.

    It has a `seed` too, and gets the options that were given as `options`. They are made when the command is used or
    its help shown, and not before: to list the schedulers loads them all.
    """

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The scheduler and its options first, then the command's own."""
        return [_scheduler_option(), *_options_of_schedulers(), *super().get_params(ctx)]

    def invoke(self, ctx: click.Context) -> Any:
        """Raises `UsageError` for an option that the scheduler does not have, before anything runs."""
        from lab.schedulers import make_scheduler

        names = [option.name for option in _options_of_schedulers()]
        given = {name: value for name in names if name and (value := ctx.params.pop(name)) is not None}
        make_scheduler(ctx.params["scheduler"], ctx.params["seed"], **given)
        ctx.params["options"] = given
        return super().invoke(ctx)


class HuntCommand(SchedulerCommand, CheckedCommand):
    """A command with the options of schedulers and of checks. It gets whether a scheduler was asked for as `chosen`."""

    def invoke(self, ctx: click.Context) -> Any:
        """Whoever names a scheduler or an option of one gets that; else `tuned` of `[tool.lab]` may name another."""
        stated = ctx.get_parameter_source("scheduler") not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
        options = [option.name for option in _options_of_schedulers()]
        ctx.params["chosen"] = stated or any(ctx.params[name] is not None for name in options if name)
        return super().invoke(ctx)


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


def bound_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Options that bound how long code of the user's may take, by the names of the fields of `Bounds`."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            command = click.option(
                f"--{OPTIONS[name]}",
                type=click.FloatRange(min=0.1),
                default=getattr(Bounds(), name),
                show_default=True,
                expose_value=False,
                callback=functools.partial(_bounded, name),
                help=f"How long {_BOUNDED[name]} may take before the command gives up.",
            )(command)
        return command

    return add


def _bounded(name: str, ctx: click.Context, param: click.Parameter, value: float) -> None:
    ctx.meta[_META] = replace(bounds_of(ctx), **{name: value})


def bounds_of(ctx: click.Context) -> Bounds:
    """The bounds that a command was given."""
    bounds: Bounds = ctx.meta.get(_META, Bounds())
    return bounds


@functools.cache
def _scheduler_option() -> click.Option:
    from lab.schedulers import DEFAULT, SCHEDULERS

    each = "; ".join(f"{name}: {cls.summary}" for name, cls in sorted(SCHEDULERS.items()))
    return click.Option(
        ["--scheduler"],
        type=click.Choice(sorted(SCHEDULERS)),
        default=DEFAULT,
        show_default=True,
        metavar="NAME",
        help=f"The scheduler that decides. {each}.",
    )


@functools.cache
def _options_of_schedulers() -> tuple[click.Option, ...]:
    """Each option of a scheduler by its name; not given, it is None. Two schedulers may have one of the same name."""
    from lab.schedulers import SCHEDULERS

    found: dict[str, list[tuple[str, Option]]] = {}
    for name, cls in SCHEDULERS.items():
        for option in cls.options:
            found.setdefault(option.name, []).append((name, option))
    return tuple(
        click.Option(
            [f"--{option}"],
            type=click.IntRange(min=min(own.least for _, own in having)),
            help=" ".join(_help(name, own) for name, own in having),
        )
        for option, having in sorted(found.items())
    )


def _help(scheduler: str, option: Option) -> str:
    default = "." if option.default is None else f". [default: {option.default}]"
    return f"For the scheduler {scheduler}: {option.help}{default}"
