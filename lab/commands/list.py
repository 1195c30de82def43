"""`lab list`: what a package holds."""

from __future__ import annotations

import click

from lab.commands.console import show_json
from lab.commands.options import json_option

__all__ = ["command"]


@click.command()
@click.argument("package", default="scenarios")
@json_option
def command(package: str, *, as_json: bool) -> None:
    """Scenarios, their variants, planted bugs and invariants in PACKAGE (default: scenarios)."""
    from lab.scenario.catalogue import entries

    found = entries(package)
    if as_json:
        show_json(found)
        return
    for each in found:
        of = f" of {each['of']}" if each["of"] else ""
        click.echo(f"{each['target']}  {each['kind']}{of}  {each['isolation']}  {', '.join(each['actors'])}")
        for invariant in each["invariants"]:
            click.echo(f"    {invariant}")
        for check in each["checks"]:
            click.echo(f"    {check} (default)")
