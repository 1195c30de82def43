"""`lab init`: writes a first scenario for one's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lab.commands.complete import complete_module
from lab.commands.console import out
from lab.commands.options import bound_options, server_options

if TYPE_CHECKING:
    from lab.commands.sketch.choice import Written

__all__ = ["command"]


@click.command()
@click.argument("module", required=False, shell_complete=complete_module)
@server_options
@bound_options("step", "setup", "imports")
async def command(module: str | None, *, url: str | None, version: str) -> None:
    """Write one file with a scenario that runs: two requests that call MODULE at the same time.

    MODULE is shop.services.checkout, shop.services.checkout:place_order or shop.main:app; without it, the project is
    looked through for functions that take a session, and for an ASGI application. What is chosen is imported and, on a
    server of the lab's, run once. Nothing is asked and nothing overwritten.
    """
    from lab.commands.sketch.choice import first_scenario
    from lab.postgres.server.place import Place

    written = await first_scenario(module, Place(url, int(version)))
    for line in _lines(written):
        out.out(line)


def _lines(written: Written) -> list[str]:
    """What was written, what came of trying it, what to edit, and the next command."""
    return [
        f"wrote {written.file}: {written.what}",
        *(f"  {name:<8} {text}" for name, text in written.found),
        f"  {'tried':<8} {written.tried}",
        f"edit  {written.edit}",
        f"next  lab hunt {written.target}",
    ]
