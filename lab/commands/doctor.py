"""`lab doctor`: the server, privileges, and which parts of the lock control work there."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lab.commands.console import out, show_json
from lab.commands.options import json_option, server_options

if TYPE_CHECKING:
    from lab.postgres.server.cluster import Abilities

__all__ = ["command"]


@click.command()
@server_options
@json_option
async def command(*, url: str | None, version: str, as_json: bool) -> None:
    """Show the server, its privileges, and which parts of the lock control work there."""
    from lab.explore import Explorer
    from lab.postgres.server.place import Place
    from lab.report.tables import plain_table

    with Place(url, int(version)).server() as server:
        async with aclosing(Explorer(server)) as explorer:
            abilities = (await explorer.open()).abilities
    if as_json:
        show_json({"server": server.description, **asdict(abilities)})
    else:
        out.print(plain_table(("", "", ""), _examination(server.description, abilities)))


def _examination(server: str, abilities: Abilities) -> list[tuple[str, str, str]]:
    def yes(*, works: bool, without: str) -> tuple[str, str]:
        return ("yes", "") if works else ("no", without)

    major, minor = divmod(abilities.version, 10000)
    return [
        ("server", server, f"PostgreSQL {major}.{minor}"),
        ("databases of the lab's own", *yes(works=abilities.may_create_databases, without="needs CREATEDB")),
        (
            "lock waits are pushed",
            *yes(
                works=abilities.pushed,
                without="needs a superuser or GRANT SET ON PARAMETER deadlock_timeout, log_lock_waits, "
                "log_min_messages, lc_messages; until then waits are polled and a deadlock's victim may differ between "
                "replays",
            ),
        ),
        (
            "waiters are frozen",
            *yes(
                works=abilities.frozen,
                without="works on the embedded server only; when several waiters wake at once, replays may "
                "differ, and each says how many of them were identical",
            ),
        ),
        (
            "triggers are off while rows are restored",
            *yes(
                works=abilities.superuser,
                without="needs a superuser; triggers fire when the rows of a setup are restored",
            ),
        ),
    ]
