"""`lab doctor`: the server, privileges, and what of the lock control works there."""

from __future__ import annotations

import json
from dataclasses import asdict

from rich.console import Console

from lab.explore import Explorer
from lab.model.verdict import Verdict
from lab.postgres.server.cluster import Abilities
from lab.postgres.server.place import Place
from lab.postgres.server.server import Server
from lab.report.tables import plain_table

__all__ = ["examine"]


async def examine(out: Console, err: Console, *, as_json: bool, url: str | None, version: str) -> str:
    """`lab doctor`."""
    place = Place(url, int(version))
    with place.server() as server:
        explorer = Explorer(server)
        try:
            abilities = (await explorer.open()).abilities
        finally:
            await explorer.aclose()
    if as_json:
        out.out(json.dumps({"server": server.description, **asdict(abilities)}, indent=2))
    else:
        out.print(plain_table(("", "", ""), _examination(server, abilities)))
    return Verdict.PASS


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
    ]
