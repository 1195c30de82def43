"""`--html FILE`: where a command writes a page, refused before anything runs where that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lab.commands.console import err

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.analysis.overview import Row
    from lab.analysis.standings import Standings
    from lab.analysis.tally import HuntResult
    from lab.model.remedy import Remedies
    from lab.search.job import Job
    from lab.shrink.replays import Replays

__all__ = [
    "draw_hunt",
    "draw_replay",
    "html_option",
    "plot_option",
    "write_hunt",
    "write_matrix",
    "write_replay",
    "write_tuning",
]


DRAWN = (".svg", ".png")


def html_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option that names the file of a page; its help says what is on it."""
    return click.option(
        "--html",
        "html",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        callback=_writable,
        help=f"{text} FILE needs nothing beside itself.",
    )


def _writable(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """The path. Raises `UsageError` for one in no folder."""
    from lab.errors import UsageError

    if value is not None and not value.absolute().parent.is_dir():
        raise UsageError(f"--html {value}: there is no folder {value.absolute().parent}")
    return value


def plot_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option that names the file of a picture; its help says what is drawn."""
    return click.option(
        "--plot", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", callback=_drawable, help=text
    )


def _drawable(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """The path. Raises `UsageError` before anything runs for one that cannot be drawn."""
    from lab.errors import UsageError

    if value is None:
        return None
    from lab.report.plots import drawing

    drawing()
    if value.suffix.lower() not in DRAWN:
        raise UsageError(f"--plot {value}: a plot is a file that ends in {' or '.join(DRAWN)}")
    if not value.absolute().parent.is_dir():
        raise UsageError(f"--plot {value}: there is no folder {value.absolute().parent}")
    return value


def draw_hunt(path: Path, result: HuntResult) -> None:
    """The figures of a hunt as a picture."""
    from lab.report.plots import draw_search

    draw_search(result, path)


def write_replay(path: Path, replays: Replays, token: str, said: Sequence[str]) -> None:
    """The page of an execution that was replayed; `said` stands below its headline."""
    from lab.report.html.contents import failure_page
    from lab.report.html.files import written
    from lab.report.html.render import failure_html
    from lab.report.section import Message

    if replays.record is None:
        err.print(f"lab: --html {path}: no replay came to its end, so there is nothing to draw", markup=False)
        return
    written(path, failure_html(failure_page(Message(replays.record), token=token, said=said)))


def draw_replay(path: Path, replays: Replays) -> None:
    """The lanes of an execution that was replayed as a picture."""
    from lab.report.failure import SECTIONS
    from lab.report.html.contents import failure_page
    from lab.report.lane_plot import draw_lanes
    from lab.report.section import Message, parts

    if replays.record is None:
        err.print(f"lab: --plot {path}: no replay came to its end, so there is nothing to draw", markup=False)
        return
    message = Message(replays.record)
    headline = next((each.lines[0] for each in parts([SECTIONS["headline"]], message)), "")
    draw_lanes(failure_page(message).dump(), headline, path)


def write_hunt(path: Path, result: HuntResult, job: Job, remedies: Remedies | None, said: Sequence[str]) -> None:
    """The page of a hunt, and beside it the page of each failure."""
    from lab.report.html.files import write_hunt_pages

    write_hunt_pages(path, result, job.described, remedies, said)


def write_matrix(path: Path, target: str, rows: Sequence[Row], said: Sequence[str]) -> None:
    """The page of a scenario at every level."""
    from lab.report.html.comparisons import matrix_html
    from lab.report.html.files import written

    written(path, matrix_html(target, rows, said))


def write_tuning(path: Path, compared: Sequence[Standings], said: Sequence[str]) -> None:
    """The page of a comparison of schedulers, with a curve for each."""
    from lab.report.html.comparisons import tuning_html
    from lab.report.html.files import written

    written(path, tuning_html(compared, said))
