"""`lab list`: what a package holds."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any

import click

from lab.commands.console import out, show_json
from lab.commands.options import bound_options, json_option

if TYPE_CHECKING:
    from lab.scenario.listed.kept import Listing

__all__ = ["command"]


@click.command()
@click.argument("package", required=False)
@click.option("--anew", is_flag=True, help="Import the modules even if nothing changed since they were last listed.")
@bound_options("imports")
@json_option
def command(package: str | None, *, anew: bool, as_json: bool) -> Coroutine[Any, Any, None] | None:
    """Scenarios, their variants, planted bugs and invariants in PACKAGE.

    Without PACKAGE, in those that `[tool.lab]` of pyproject.toml names, else in the package `scenarios`, else in
    whatever modules of the project declare some. What was listed before is shown again without importing anything, if
    no module, no other file that they read, and no variable of the environment has changed since.
    """
    from lab.postgres.server.cache_place import cache_folder
    from lab.scenario.listed.kept import Listing

    listing = Listing(cache_folder, package)
    known = None if anew else listing.known()
    if known is None:
        return _listed(listing, package, as_json=as_json)
    _show(known, as_json=as_json)
    return None


async def _listed(listing: Listing, package: str | None, *, as_json: bool) -> None:
    from lab.engine.watchdog import importing
    from lab.scenario.catalogue import entries

    with importing():
        found = listing.made(lambda: entries(package))
    _show(found, as_json=as_json)


def _show(found: Iterable[dict[str, Any]], *, as_json: bool) -> None:
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
