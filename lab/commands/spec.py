"""`lab spec`: PostgreSQL's isolation specs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lab.commands.console import out, show_json
from lab.commands.options import SchedulerCommand, json_option, server_options
from lab.errors import UsageError, printable
from lab.model.verdict import Verdict

if TYPE_CHECKING:
    from lab.explore.spec.other_orders import Search
    from lab.explore.spec.stage import Performance, Stage
    from lab.explore.spec.values import Spec

__all__ = ["command"]

EXHAUSTIVE = "dfs"


class _SpecCommand(SchedulerCommand):
    """A command whose scheduler is by default the exhaustive one: a spec is small."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The same, with that default."""
        scheduler, *others = super().get_params(ctx)
        scheduler = copy.copy(scheduler)
        scheduler.default = EXHAUSTIVE
        return [scheduler, *others]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A spec, what was printed of it, and what is expected: nothing where that is not known."""

    file: Path
    performance: Performance
    expected: Path | None
    difference: list[str]
    compared: bool
    search: Search | None

    @property
    def verdict(self) -> str:
        """As expected, not as expected, or not compared and not run to its end."""
        if self.compared:
            return Verdict.FAIL if self.expected is None else Verdict.PASS
        return Verdict.INCONCLUSIVE if self.performance.aborted else Verdict.PASS


@click.command(cls=_SpecCommand)
@click.argument("files", nargs=-1, metavar="[FILE]…", type=click.Path(path_type=Path))
@click.option(
    "--suite",
    type=click.Path(path_type=Path),
    envvar="LAB_PG_SPECS",
    help="PostgreSQL's src/test/isolation, with specs/ and expected/: a FILE may then be a name there, and without any "
    "all of its specs are run.",
)
@click.option(
    "--expected",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Compare what is printed with NAME.out there, or an alternate NAME_0.out to NAME_9.out. [default: the folder "
    "expected beside the folder specs in which FILE lies]",
)
@click.option(
    "--as-scenario", is_flag=True, help="Print a scenario to start from, with the sessions as actors; run nothing."
)
@click.option("--search", is_flag=True, help="Then search other orders of the same steps for outcomes not seen there.")
@click.option(
    "--executions",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="With --search: executions at most for each FILE.",
)
@click.option("--seed", default=0, show_default=True, help="With --search: of schedulers that go by chance.")
@server_options
@json_option
async def command(
    files: tuple[Path, ...],
    *,
    suite: Path | None,
    expected: Path | None,
    as_scenario: bool,
    search: bool,
    executions: int,
    seed: int,
    scheduler: str,
    options: dict[str, int],
    url: str | None,
    version: str,
    as_json: bool,
) -> str:
    """Run PostgreSQL isolation specs, as its isolationtester does, and compare what is printed with what is expected.

    Each FILE is a `.spec` file of the form that PostgreSQL's src/test/isolation/README describes. Its sessions run raw
    SQL in a database isolation_regression that the lab makes for them. Where it is not known what is expected, the
    output is printed. Exit status 1: something else was printed.
    """
    from lab.explore.spec.reader import read_spec
    from lab.postgres.server.place import Place
    from lab.schedulers import make_scheduler

    specs = [(file, read_spec(file), _known(file, expected)) for file in _found(files, suite)]
    if as_scenario:
        _show_scenarios([spec for _, spec, _ in specs])
        return Verdict.PASS
    beyond = partial(make_scheduler, scheduler, seed, **options) if search else None
    with Place(url, int(version)).server_soon() as start:  # it starts while this is imported
        from lab.explore.spec.stage import Stage

        judged = []
        async with aclosing(await Stage.open(start())) as stage:
            for file, spec, known in specs:
                judged.append(one := await _judged(stage, file, spec, known, beyond, executions))
                if not as_json:
                    _show(one)
    if as_json:
        show_json({"verdict": _verdict(judged), "specs": list(map(_json, judged))})
    elif len(judged) > 1:
        _show_sum(judged)
    return _verdict(judged)


def _found(files: Sequence[Path], suite: Path | None) -> list[Path]:
    """The files that are meant. Raises `UsageError` for one that is not there."""
    from lab.explore.spec.expected import in_suite

    if not files and suite is None:
        raise UsageError("name a .spec file, or a folder with PostgreSQL's suite by --suite or LAB_PG_SPECS")
    if not files and suite is not None:
        return in_suite(suite)
    found = []
    for file in files:
        named = suite / "specs" / f"{file}.spec" if suite is not None else file
        if not file.is_file() and not named.is_file():
            raise UsageError(f"there is no file {file}" + (f", and no {named}" if suite else ""))
        found.append(file if file.is_file() else named)
    return found


def _show_scenarios(specs: Sequence[Spec]) -> None:
    from lab.explore.spec.sketched import scenario_text

    out.out("\n\n".join(map(scenario_text, specs)), end="")


def _known(file: Path, expected: Path | None) -> tuple[Path, ...]:
    """The files that hold what is expected. Raises `UsageError` if there are none where there should be."""
    from lab.explore.spec.expected import beside, expected_files

    folder = expected or beside(file)
    known = expected_files(folder, file.stem) if folder else ()
    if expected and not known:
        raise UsageError(f"{expected} has no {file.stem}.out")
    return known


async def _judged(
    stage: Stage, file: Path, spec: Spec, known: tuple[Path, ...], beyond: Any, executions: int
) -> _Judged:
    from lab.explore.spec.expected import differences
    from lab.explore.spec.other_orders import searched
    from lab.explore.spec.stage import performed

    performance = await performed(stage, spec)
    matched, difference = differences(performance.output.encode("utf-8", "surrogateescape"), known)
    more = None if beyond is None else await searched(stage, performance, beyond, executions)
    return _Judged(file, performance, matched, difference, bool(known), more)


def _verdict(judged: Sequence[_Judged]) -> str:
    verdicts = {each.verdict for each in judged}
    return next((each for each in (Verdict.FAIL, Verdict.INCONCLUSIVE) if each in verdicts), Verdict.PASS)


def _show(one: _Judged) -> None:
    ran = one.performance
    if not one.compared:
        out.out(printable(ran.output), end="")
    else:
        said = "differs    " if one.expected is None else "as expected"
        out.out(f"{said}  {ran.spec.name}  {_counted(len(ran.permutations), ran.waits, ran.seconds)}")
        for line in one.difference:
            out.out(f"    {printable(line)}")
    if one.search is not None:
        _show_search(one.performance.spec, one.search)


def _show_search(spec: Spec, search: Search) -> None:
    extent = "every order was run" if search.exhausted else f"of {search.orders} orders"
    out.out(
        f"search of {spec.name}: {_number(search.executions, 'execution')}, {extent}; "
        f"{_number(search.outcomes, 'outcome')}, "
        f"{len(search.novelties)} of them not in the listed permutations"
    )
    if search.endless:
        out.out(f"    {_number(search.endless, 'execution')} did not end: a session waited for ever for another")
    if search.stopped:
        out.out(f"    stopped: {printable(search.stopped)}")
    for each in search.novelties:
        out.out("")
        out.out(printable(each.output), end="")


def _counted(permutations: int, waits: int, seconds: float) -> str:
    return f"{_number(permutations, 'permutation')}, {_number(waits, 'lock wait')}, {seconds:.2f} s"


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _show_sum(judged: Sequence[_Judged]) -> None:
    compared = [each for each in judged if each.compared]
    right = sum(each.expected is not None for each in compared)
    ran = [each.performance for each in judged]
    numbers = _counted(
        sum(len(each.permutations) for each in ran), sum(each.waits for each in ran), sum(each.seconds for each in ran)
    )
    out.out(f"{right} of {len(compared)} as expected · {numbers}")


def _json(one: _Judged) -> dict[str, Any]:
    ran = one.performance
    return {
        "name": printable(ran.spec.name),
        "file": printable(str(one.file)),
        "verdict": one.verdict,
        "compared": one.compared,
        "expected": one.expected and printable(one.expected.name),
        "permutations": len(ran.permutations),
        "lock_waits": ran.waits,
        "seconds": round(ran.seconds, 4),
        "aborted": printable(ran.aborted),
        "output": None if one.compared else printable(ran.output),
        "difference": [printable(line) for line in one.difference],
        "search": one.search and _search_json(one.search),
    }


def _search_json(search: Search) -> dict[str, Any]:
    return {
        "executions": search.executions,
        "endless": search.endless,
        "orders": search.orders,
        "exhausted": search.exhausted,
        "stopped": printable(search.stopped),
        "outcomes": search.outcomes,
        "listed": search.listed,
        "new": [
            {"permutation": [printable(step.name) for step in each.order], "output": printable(each.output)}
            for each in search.novelties
        ],
    }
