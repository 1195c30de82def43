"""`lab list`: what a package holds."""

from __future__ import annotations

import click

from lab.commands.console import out, show_json
from lab.commands.options import bound_options, json_option

__all__ = ["command"]


@click.command()
@click.argument("package", required=False)
@bound_options("imports")
@json_option
async def command(package: str | None, *, as_json: bool) -> None:
    """Scenarios, their variants, planted bugs and invariants in PACKAGE.

    Without PACKAGE, in those that `[tool.lab]` of pyproject.toml names, else in the package `scenarios`, else in
    whatever modules of the project declare some.
    """
    from lab.engine.watchdog import importing
    from lab.scenario.catalogue import entries

    with importing():
        found = entries(package)
    if as_json:
        show_json(found)
        return
    for each in found:
        of = f" of {each['of']}" if each["of"] else ""
        out.out(f"{each['target']}  {each['kind']}{of}  {each['isolation']}  {', '.join(each['actors'])}")
        for invariant in each["invariants"]:
            out.out(f"    {invariant}")
        for check in each["checks"]:
            out.out(f"    {check} (default)")
