"""What of a database does more than its name says: functions, views, and tables whose rows call a function."""

from __future__ import annotations

from typing import Any

__all__ = ["opaque_in"]

_FIRST_OF_USERS = 16384
"""The first object id that PostgreSQL gives to what is made after `initdb`."""
_OPAQUE = f"""
SELECT p.proname FROM pg_proc p WHERE p.oid >= {_FIRST_OF_USERS}
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
UNION SELECT c.relname FROM pg_class c WHERE c.relkind IN ('v', 'm') AND c.oid >= {_FIRST_OF_USERS}
"""
_CALLING = f"""
SELECT t.tgrelid FROM pg_trigger t WHERE NOT t.tgisinternal
UNION SELECT k.conrelid FROM pg_depend d JOIN pg_constraint k ON k.oid = d.objid
WHERE d.classid = 'pg_constraint'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid >= {_FIRST_OF_USERS}
UNION SELECT a.adrelid FROM pg_depend d JOIN pg_attrdef a ON a.oid = d.objid
WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid >= {_FIRST_OF_USERS}
UNION SELECT i.indrelid FROM pg_depend d JOIN pg_index i ON i.indexrelid = d.objid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_proc'::regclass AND d.refobjid >= {_FIRST_OF_USERS}
"""


async def opaque_in(connection: Any) -> tuple[frozenset[str], frozenset[str]]:
    """The names of functions and views of the user's, and those of tables of which a changed row calls a function.

    Those of extensions are left out: they compute, and touch no table of the user's. `connection` is asyncpg's.
    """
    opaque = frozenset(name for (name,) in await connection.fetch(_OPAQUE))
    calling = await connection.fetch(f"SELECT relname FROM pg_class WHERE oid IN ({_CALLING})")
    return opaque, frozenset(name for (name,) in calling)
