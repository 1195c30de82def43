"""`lab doctor`: the server, privileges, and which parts of the lock control work there."""

from __future__ import annotations

import contextlib
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lab.commands.console import out, show_json
from lab.commands.options import json_option, server_options

if TYPE_CHECKING:
    from lab.postgres.server.cluster import Abilities
    from lab.postgres.server.server import Server

__all__ = ["command"]


@click.command()
@server_options
@json_option
async def command(*, url: str | None, version: str, as_json: bool) -> None:
    """Show the server, its privileges, and which parts of the lock control work there."""
    from lab.postgres.server.place import Place

    with Place(url, int(version)).server_soon() as start:  # it starts while this is imported
        from lab.postgres.server.cluster import Cluster
        from lab.postgres.server.monitor import LOST
        from lab.report.tables import plain_table

        server = start()
        cluster = await Cluster.open(server)
        abilities = cluster.abilities
        with contextlib.suppress(*LOST):
            await cluster.close()
    if as_json:
        show_json({"server": server.description, **asdict(abilities), "clock_follows": server.clock is not None})
    else:
        out.print(plain_table(("", "", ""), _examination(server, abilities)))


def _examination(server: Server, abilities: Abilities) -> list[tuple[str, str, str]]:
    def yes(*, works: bool, without: str) -> tuple[str, str]:
        return ("yes", "") if works else ("no", without)

    major, minor = divmod(abilities.version, 10000)
    return [
        ("server", server.description, f"PostgreSQL {major}.{minor}"),
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
        (
            "the server's clock follows the actors'",
            *yes(works=server.clock is not None, without=_own_clock(embedded=server.folder is not None)),
        ),
    ]


def _own_clock(*, embedded: bool) -> str:
    """Why a server's clock is its own, and what that means."""
    from lab.postgres.server.clock import SWITCH, installed_library

    if not embedded:
        why = "works on the embedded server only"
    elif os.environ.get(SWITCH) == "own":
        why = f"{SWITCH}=own says so"
    elif installed_library() is None:
        why = "needs Linux and the extra: pip install 'concurrency-lab[clock]'"
    else:
        why = "the library of the extra cannot be loaded here"
    return f"{why}; a sleep of an actor does not move now() of the server"
