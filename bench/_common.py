"""What the benches share: quartiles, and the one place that prints a result as a table or as JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

__all__ = ["Spread", "show"]

NARROWEST = 110
"""Columns below which a table is hard to read; a pipe would have 80."""


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of some figures, in their unit."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """The spread of one or more figures."""
        if len(figures) == 1:
            return cls(figures[0], figures[0], figures[0])
        low, median, high = statistics.quantiles(figures, n=4, method="inclusive")
        return cls(low, median, high)

    def __str__(self) -> str:
        return f"{self.median:.2f}  [{self.low:.2f} … {self.high:.2f}]"


def show(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], result: Mapping[str, object], *, as_json: bool
) -> None:
    """Print the rows as a table for people, or the result as one JSON object for programs."""
    if as_json:
        print(json.dumps(result))
        return
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*map(str, row))
    console = Console()
    console.width = max(console.width, NARROWEST)
    console.print(table)
