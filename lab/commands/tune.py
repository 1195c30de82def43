"""`lab tune`: compares schedulers on scenarios."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lab.commands.complete import complete_target
from lab.commands.console import err, out, progress_bar, show_json
from lab.commands.options import CheckedCommand, bound_options, json_option, level_option, server_options
from lab.commands.pages import html_option, plot_option, write_tuning
from lab.model.verdict import Verdict

if TYPE_CHECKING:
    from rich.table import Table

    from lab.analysis.standings import Standings
    from lab.postgres.server.place import Place
    from lab.scenario.declare import Scenario
    from lab.search.tuning.race import Race

__all__ = ["command"]


@click.command(cls=CheckedCommand)
@click.argument("targets", nargs=-1, required=True, metavar="TARGET…", shell_complete=complete_target)
@click.option("--schedulers", help="Those to compare, as in random,pos,pct(depth=2). [default: all but serial]")
@click.option(
    "--seeds",
    type=click.IntRange(min=2),
    default=20,
    show_default=True,
    help="Seeds for each scheduler that is not left out before. More are used while the answer is uncertain.",
)
@click.option(
    "--cap",
    type=click.IntRange(min=2),
    default=100,
    show_default=True,
    help="Executions of one search; without a violation it counts as one that would have needed more.",
)
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=50.0, show_default=True, help="For each scenario."
)
@click.option("--seed", type=int, default=0, show_default=True, help="The first seed.")
@click.option(
    "--by",
    type=click.Choice(["executions", "seconds"]),
    default="executions",
    show_default=True,
    help="What is to be few until the first violation. Seconds depend on the machine.",
)
@click.option("--bug", default="", help="The invariant, or the checker, whose violation counts. [default: any]")
@level_option("Run every transaction at this isolation level instead of the scenario's own.")
@click.option(
    "--no-breakpoints",
    "breakpoints",
    flag_value=False,
    default=True,
    help="Never pause a statement between two rows that it locks.",
)
@plot_option("Draw the curves into this .svg or .png.")
@html_option("Draw the curves into this page, with what they come to.")
@server_options
@bound_options("step", "setup", "invariant", "imports")
@json_option
async def command(targets: tuple[str, ...], *, as_json: bool, **options: Any) -> str | None:
    """Compare schedulers on TARGET: how soon each meets the first violation, and which one to use.

    TARGET is module:Class, a short name, or a package or module, whose scenarios are then compared one after the other.
    Of several the portfolio's turns are chosen together. Exit status 0: compared, also where nothing separates them;
    2: wrong use; 3: interrupted, or the lab or the server failed; what is known until then is shown.
    """
    from lab.analysis.survival import scipy_stats
    from lab.engine.watchdog import importing
    from lab.postgres.server.place import Place
    from lab.report.tuning import tuning_data, tuning_lines
    from lab.search.tuning.recommendation import recommended
    from lab.search.tuning.subjects import subjects

    scipy_stats()
    with importing():
        scenarios = subjects(targets, options["bug"])
    races = [_race(each, options) for each in scenarios]
    compared = await _compared(Place(options["url"], int(options["version"])), races, quiet=as_json)
    advice = recommended(compared, targets)
    if as_json:
        show_json(tuning_data(compared, advice))
    else:
        for line in tuning_lines(compared, advice):
            out.print(line) if not isinstance(line, str) else out.out(line)
    if options["html"] is not None:
        write_tuning(options["html"], compared, [*_as_text(tuning_lines(compared, advice))])
    if options["plot"] is not None:
        _draw(compared, options["plot"])
    return Verdict.INCONCLUSIVE if any(each.trouble for each in compared) else None


def _race(scenario: Scenario, options: dict[str, Any]) -> Race:
    from lab.explore import Conditions
    from lab.search.tuning.candidates import USUAL, candidates
    from lab.search.tuning.race import Race
    from lab.search.tuning.samples import Subject

    conditions = Conditions(options["isolation"], breakpoints=options["breakpoints"], checks=options["checks"])
    return Race(
        Subject(scenario, conditions, options["bug"]),
        candidates(options["schedulers"] or USUAL),
        seeds=options["seeds"],
        cap=options["cap"],
        seconds=options["seconds"],
        first_seed=options["seed"],
        in_seconds=options["by"] == "seconds",
    )


def _as_text(lines: Iterable[str | Table]) -> Iterator[str]:
    """Lines and tables as plain text."""
    from rich.console import Console

    plain = Console(width=160, color_system=None, highlight=False, record=True, file=io.StringIO())
    for line in lines:
        plain.print(line) if not isinstance(line, str) else plain.out(line)
    yield from plain.export_text().splitlines()


def _draw(compared: list[Standings], path: Path) -> None:
    """After the figures were shown, which must not be lost for a picture. Raises `UsageError` if it is not written."""
    from lab.report.plots import draw

    if not draw(compared, path):
        err.print(f"lab: --plot {path}: no violation was met, so there is no curve to draw", markup=False)


async def _compared(place: Place, races: list[Race], *, quiet: bool) -> list[Standings]:
    """Each comparison that was begun; one that was interrupted is the last. Of several none ends the others."""
    from lab.explore import Explorer
    from lab.search.hunt import INTERRUPTED

    compared: list[Standings] = []
    with place.server() as server, progress_bar(quiet=quiet) as bar:
        task = bar.add_task("", total=None)
        async with aclosing(Explorer(server)) as explorer:
            for race in races:
                race.alone = len(races) == 1
                race.progress = lambda seen: bar.update(task, description=seen.target, completed=seen.executions)
                compared.append(await race.run(explorer))
                if compared[-1].trouble == INTERRUPTED:
                    break
    return compared
