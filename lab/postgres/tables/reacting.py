"""The tables of which a changed row calls a function of the user's, which no statement names."""

from __future__ import annotations

from typing import Any

__all__ = ["reacting_in"]

_FIRST_OF_USERS = 16384
"""The first object id that PostgreSQL gives to what is made after `initdb`."""
_CALLING = f"""
SELECT t.tgrelid FROM pg_trigger t WHERE NOT t.tgisinternal
UNION SELECT k.conrelid FROM pg_depend d JOIN pg_constraint k ON k.oid = d.objid
WHERE d.classid = 'pg_constraint'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid >= {_FIRST_OF_USERS}
UNION SELECT a.adrelid FROM pg_depend d JOIN pg_attrdef a ON a.oid = d.objid
WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid >= {_FIRST_OF_USERS}
UNION SELECT i.indrelid FROM pg_depend d JOIN pg_index i ON i.indexrelid = d.objid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid >= {_FIRST_OF_USERS}
"""


async def reacting_in(connection: Any) -> frozenset[str]:
    """Their names: by a trigger, a check, a default or an index. `connection` is asyncpg's."""
    calling = await connection.fetch(f"SELECT relname FROM pg_class WHERE oid IN ({_CALLING})")
    return frozenset(name for (name,) in calling)
