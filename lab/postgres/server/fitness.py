"""Whether a server can serve at all: what `lab doctor` and every hunt refuse, with the same sentence.

What merely works less well there (waits that are polled, waiters that cannot be frozen) is no reason to refuse; it is
among the abilities of a cluster.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from lab.errors import ServerError
from lab.postgres.server.monitor import LOST, POOLER, Monitor
from lab.postgres.server.server import Server

__all__ = ["insist_on_fitness"]

LEAST_CONNECTIONS = 5
"""Beside the one that asks: to the lab's database, for setup and invariants, for two actors, and one to spare."""

_OLDEST = 140000
_OWNERS_INHERIT_BY_WISH = 15
"""Before, everybody may make tables in `public`. Since, its owner may, by the role pg_database_owner, and from 16 on
the owner of a database has what that role may also where it inherits nothing else."""

_FACTS = """
SELECT current_setting('server_version_num')::int AS version,
       pg_is_in_recovery() AS standby,
       pg_backend_pid() AS pid,
       r.rolcreatedb OR r.rolsuper AS may_create_databases,
       r.rolinherit OR r.rolsuper AS inherits,
       CASE WHEN r.rolconnlimit < 0 OR r.rolsuper THEN NULL
            ELSE r.rolconnlimit - (SELECT count(*) FROM pg_stat_activity s WHERE s.usesysid = r.oid)
            END AS left_to_role,
       current_setting('max_connections')::int
         - CASE WHEN r.rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::int END
         - CASE WHEN r.rolsuper THEN 0 ELSE coalesce(current_setting('reserved_connections', true)::int, 0) END
         - (SELECT count(*) FROM pg_stat_activity s WHERE s.usesysid IS NOT NULL) AS left_to_all
FROM pg_roles r WHERE r.rolname = current_user
"""


async def insist_on_fitness(server: Server, admin: Monitor) -> None:
    """Raises `ServerError` with a sentence that says what is wrong and what to do."""
    try:
        async with admin.transaction():  # behind a pooler both halves of a query then meet one backend
            facts = await admin.fetchrow(_FACTS)
    except asyncpg.InvalidSQLStatementNameError as error:
        raise ServerError(POOLER.format(server.description)) from error
    except LOST as error:
        raise ServerError(f"{server.description} did not say what it is: {server.cleaned(str(error))}") from error
    if objection := _objection(facts, admin.get_server_pid()):
        raise ServerError(objection.format(server.description))


def _objection(facts: Any, pid: int) -> str:
    if facts["version"] < _OLDEST:
        return "{} is older than PostgreSQL 14, and the lab needs that or a later one"
    if facts["pid"] != pid:  # a pooler answers with a number of its own
        return POOLER
    if facts["standby"]:
        return "{} is a standby, where nothing can be written; give the URL of its primary"
    if not facts["may_create_databases"]:
        return (
            "the role on {} may not create databases, and the lab works only in its own: "
            "ALTER ROLE … CREATEDB, or leave the URL out to use the embedded server"
        )
    if not facts["inherits"] and facts["version"] // 10000 == _OWNERS_INHERIT_BY_WISH:
        return (
            "the role on {} is NOINHERIT, so on PostgreSQL 15 it may make no tables in the schema public of a database "
            "of its own: ALTER ROLE … INHERIT, or leave the URL out to use the embedded server"
        )
    return _too_few(facts["left_to_role"], facts["left_to_all"])


def _too_few(left_to_role: int | None, left_to_all: int) -> str:
    needed = f"too few connections: the lab needs {LEAST_CONNECTIONS} more than are open now"
    if left_to_role is not None and left_to_role < LEAST_CONNECTIONS:
        return f"the role on {{}} may open {needed}; ALTER ROLE … CONNECTION LIMIT, or end other sessions of that role"
    if left_to_all < LEAST_CONNECTIONS:
        return f"{{}} has room for {needed}; raise max_connections, or end other sessions"
    return ""
