"""`lab demo`: hunts the scenarios that ship with the lab, wherever one is."""

from __future__ import annotations

from typing import Any

import click

from lab.commands.complete import complete_shipped
from lab.commands.console import err
from lab.commands.hunt import command as hunt
from lab.commands.options import HuntCommand

__all__ = ["command"]

NOT_HERE = ("target", "resume", "keep")
"""Of the options of `lab hunt`: nothing is kept of a demonstration, which runs in the folder of the lab."""


async def _demonstrate(name: str | None, **options: Any) -> str:
    """Hunt the scenarios that ship with the lab: every right variant must pass and every planted bug be found.

    With NAME, hunt that one alone and show its report. The options are those of `lab hunt`.
    """
    from lab.scenario.shipped import SHIPPED, run_from_shipped

    folder = run_from_shipped()
    if not options["as_json"]:
        err.out(f"lab: the shipped scenarios are in {folder / SHIPPED}")
    assert hunt.callback is not None
    verdict: str = await hunt.callback(name, resume=None, keep=False, **options)
    return verdict


command = HuntCommand(
    "demo",
    callback=_demonstrate,
    params=[
        click.Argument(["name"], required=False, shell_complete=complete_shipped),
        *(each for each in hunt.params if each.name not in NOT_HERE),
    ],
    help=_demonstrate.__doc__,
)
