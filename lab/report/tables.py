"""Tables for the terminal: scenarios, the hunt over everything, a server's abilities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

__all__ = ["hunt_table", "matrix_table", "plain_table"]

Row = Sequence[str]


def plain_table(columns: Sequence[str], rows: Iterable[Row]) -> Table:
    """A plain table, which is readable without colour."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def hunt_table(rows: Iterable[tuple[bool, Row]]) -> Table:
    """The hunt over everything: (as expected, (scenario, kind, verdict, executions, traces, found as))."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, justify in (
        ("", "left"),
        ("scenario", "left"),
        ("kind", "left"),
        ("verdict", "left"),
        ("executions", "right"),
        ("traces", "right"),
        ("smallest", "left"),  # steps and preemptions of the smallest failure, or why there is no verdict
    ):
        table.add_column(column, justify=justify, no_wrap=column == "scenario")  # type: ignore[arg-type]
    for as_expected, row in rows:
        mark = "[green]ok[/]" if as_expected else "[bold red]no[/]"
        table.add_row(mark, *row)
    return table


def matrix_table(rows: Iterable[Row]) -> Table:
    """One scenario at several levels, a row each."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, justify in (
        ("isolation", "left"),
        ("verdict", "left"),
        ("broken", "right"),  # executions with a violation, of all
        ("traces", "right"),
        ("anomalies", "left"),
        ("aborts", "left"),  # by SQLSTATE
        ("waits", "right"),
        ("seconds", "right"),
        ("what breaks", "left"),  # or why there is no verdict
    ):
        table.add_column(column, justify=justify, no_wrap=column in ("isolation", "verdict"))  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*row)
    return table
