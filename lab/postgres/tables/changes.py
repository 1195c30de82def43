"""How the lab learns that somebody changed what its restoring of rows does not reach.

Changes of the catalog are undone by making the database again. For a superuser, event triggers report them; for others
the catalog is compared by `CATALOG`. What lies beside the database (roles, settings of roles and databases), or goes
with a session (temporary tables), cannot be made again: a setup that leaves such things is refused.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CATALOG", "EVENT_TRIGGERS", "Beside", "beside_of", "objection", "still"]

_WHOLE = (
    "pg_attribute",
    "pg_attrdef",
    "pg_cast",
    "pg_collation",
    "pg_constraint",
    "pg_enum",
    "pg_index",
    "pg_inherits",
    "pg_namespace",
    "pg_operator",
    "pg_policy",
    "pg_proc",
    "pg_range",
    "pg_rewrite",
    "pg_sequence",
    "pg_trigger",
    "pg_type",
)
_FIRST_OF_USERS = 16384
"""Object ids below belong to PostgreSQL itself."""
_OF_USERS = {"pg_attribute": "attrelid", "pg_enum": "enumtypid", "pg_index": "indexrelid", "pg_inherits": "inhrelid"}
_OF_USERS |= {"pg_range": "rngtypid", "pg_sequence": "seqrelid"}
_PARTS = [
    f"SELECT t::text AS line FROM {name} t WHERE {_OF_USERS.get(name, 'oid')} >= {_FIRST_OF_USERS}"
    + (" OR nspname = 'public'" if name == "pg_namespace" else "")
    for name in _WHOLE
]
_CLASSES = f"""
SELECT row(oid, relname, relnamespace, relowner, relkind, relnatts, relchecks, relacl, reloptions, relpersistence,
           relrowsecurity, relreplident)::text
FROM pg_class WHERE oid >= {_FIRST_OF_USERS}
"""
EVENT_TRIGGERS = "SELECT string_agg(concat(evtname, evtenabled, evtfoid), ' ' ORDER BY evtname) FROM pg_event_trigger"
"""The event triggers of a database. None reports that one of them was dropped or disabled."""
CATALOG = f"""
SELECT md5(coalesce(string_agg(line, '|' ORDER BY line), '')) FROM ({" UNION ALL ".join([*_PARTS, _CLASSES])}) AS lines
"""
"""What it says of the objects of users. Without what TRUNCATE, VACUUM and ANALYZE change, since restoring rows does."""

_BESIDE = """
SELECT (SELECT coalesce(array_agg(c.relname::text ORDER BY c.oid), '{}') FROM pg_class c
        WHERE c.relpersistence = 't' AND c.relkind IN ('r', 'v')) AS temporary,
       (SELECT coalesce(array_agg(rolname::text || rolsuper || rolinherit || rolcreaterole || rolcreatedb || rolcanlogin
                                  || rolreplication || rolbypassrls || rolconnlimit ORDER BY oid), '{}')
        FROM pg_roles) AS roles,
       (SELECT coalesce(array_agg(m.*::text ORDER BY m.roleid, m.member), '{}') FROM pg_auth_members m) AS members,
       (SELECT coalesce(array_agg(s.*::text ORDER BY s.setrole), '{}') FROM pg_db_role_setting s
        WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))) AS settings
"""

Beside = tuple[tuple[str, ...], ...]


async def beside_of(connection: Any) -> Beside:
    """Temporary tables; roles; their memberships; settings of roles and of the database of an asyncpg connection."""
    return tuple(map(tuple, await connection.fetchrow(_BESIDE)))


def still(before: Beside, after: Beside) -> Beside:
    """`after` without what others may have added since: temporary tables of open sessions, and roles."""
    roles, members = (tuple(each for each in after[i] if each in before[i]) for i in (1, 2))
    return before[0], roles, members, after[3]


def objection(before: Beside, after: Beside, *, may_add_roles: bool) -> str:
    """What somebody changed that cannot be undone, as the end of a sentence; "" for nothing."""
    temporary, roles, members, settings = (old != new for old, new in zip(before, after, strict=True))
    if temporary and (left := [name for name in after[0] if name not in before[0]]):
        return (
            f"leaves the temporary table {left[0]!r}, which no actor can see; make it an ordinary table, or let it go "
            "with ON COMMIT DROP"
        )
    if (roles or members) and not (may_add_roles and all(set(before[i]) <= set(after[i]) for i in (1, 2))):
        return (
            "changes roles, which belong to the whole server, so the lab cannot restore them; a role may be made in "
            "the schema hook, where it is missing"
        )
    if settings:
        return (
            "changes the settings of a role or of the database (ALTER … SET), which the sessions of actors would not "
            "get; use SET in the actors"
        )
    return ""
