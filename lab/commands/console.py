"""Where commands write: results to standard output, progress and complaints to standard error."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import IO, TYPE_CHECKING, Any, cast

from rich.console import Console

from lab.model.shown import Veil

if TYPE_CHECKING:
    from lab.commands.progress import ProgressBelow

__all__ = ["err", "out", "print_lines", "progress_bar", "report_width", "show_failure", "show_json"]

WIDTH = 120
"""Columns where the output is not a terminal."""

NARROWEST = 60
"""Columns below which a report is not folded: a terminal does that itself."""
REPORT_VERSION = 1
"""Of the form that `docs/report.schema.json` describes: raised when a field goes or means something else."""

_FILE: Any = Console.file


class _Console(Console):
    """Writes no secret, wherever its stream leads at that time."""

    answered = False
    """A JSON value was written."""

    @property
    def file(self) -> IO[str]:
        """The stream."""
        return cast("IO[str]", Veil(lambda: _FILE.__get__(self)))

    @file.setter
    def file(self, stream: IO[str]) -> None:
        _FILE.__set__(self, stream)


out = _Console(highlight=False, emoji=False, width=None if sys.stdout and sys.stdout.isatty() else WIDTH)
err = _Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def report_width() -> int:
    """Columns for a report: those of the terminal, where it has fewer than a report would like."""
    from lab.report.section import WIDTH as LIKED

    return min(LIKED, max(NARROWEST, out.width))


def print_lines(texts: Iterable[str]) -> None:
    """Texts on standard output, each on a line of its own."""
    for text in texts:
        out.out(text)


def show_json(value: Any) -> None:
    """One JSON value on standard output: an object, or an array of objects. Each states the version of its form."""
    out.answered = True
    out.out(json.dumps([*map(_stated, value)] if isinstance(value, list) else _stated(value), indent=2))


def _stated(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the version of its form; where `version` is that of a server, it has another name."""
    return {"report_version" if "version" in value else "version": REPORT_VERSION, **value}


def show_failure(sentence: str, status: int) -> None:
    """The same for a command that came to nothing, if it was to show JSON and has not done so."""
    if "--json" in sys.argv and not out.answered:
        with contextlib.suppress(OSError, ValueError):  # nobody reads it
            show_json({"error": sentence, "exit_status": status})


def progress_bar(*, quiet: bool) -> ProgressBelow:
    """How far a command is, on standard error; nothing with --json, in CI, and where no terminal could show it."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from lab.commands.progress import ProgressBelow

    return ProgressBelow(
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        console=err,
        disable=quiet or not err.is_terminal or err.is_dumb_terminal or bool(os.environ.get("CI")),
        transient=True,
    )
