"""Where commands write: results to standard output, progress and complaints to standard error."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["err", "out", "progress_bar", "show_json"]

WIDTH = 120
"""Columns where the output is not a terminal."""

out = Console(highlight=False, width=None if sys.stdout and sys.stdout.isatty() else WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def show_json(value: Any) -> None:
    """One JSON value on standard output."""
    out.out(json.dumps(value, indent=2))


def progress_bar(*, quiet: bool) -> Progress:
    """How far a command is, on standard error; nothing where that is not a terminal, or with --json."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
        transient=True,
    )
