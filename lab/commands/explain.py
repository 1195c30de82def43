"""`lab explain`: the page of an anomaly or a cause that a report names."""

from __future__ import annotations

import click

from lab.commands.console import out
from lab.errors import UsageError

__all__ = ["command"]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def command(names: tuple[str, ...]) -> None:
    """Print the page of each anomaly or cause NAME, as a report has it; without one, the names."""
    from lab.report.explained import page_of, pages

    if not names:
        for folder, slug in pages():
            out.out(f"{folder:<10} {slug}")
    for name in names:
        text = page_of(name)
        if text is None:
            raise UsageError(f"there is no page of {name!r}; `lab explain` prints the names")
        out.out(text)
