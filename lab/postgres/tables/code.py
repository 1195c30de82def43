"""Questions to the catalog: the views, functions, triggers and rules of an application, and what leads there."""

from __future__ import annotations

from lab.postgres.connections.triggers import SCHEMA, TRIGGER

__all__ = ["CASCADES", "CHILDREN", "FUNCTIONS", "HIDDEN", "PARTS", "RULES", "SPELLED", "TRIGGERS", "VIEWS"]

_SHORT = "CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END"
_OURS = f"('pg_catalog', 'information_schema', '{SCHEMA}')"
_NAMED = f"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT IN {_OURS}"

PARTS = f"""
SELECT (SELECT {_SHORT} {_NAMED} WHERE c.oid = i.inhrelid) AS part,
       (SELECT {_SHORT} {_NAMED} WHERE c.oid = pg_partition_root(i.inhrelid)) AS whole
FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid AND p.relispartition AND p.relkind IN ('r', 'p')
"""
VIEWS = f"SELECT {_SHORT}, c.relkind::text, pg_get_viewdef(c.oid) {_NAMED} WHERE c.relkind IN ('v', 'm')"
_CODE = "coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)"
_OWN = f"""
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname NOT IN {_OURS}
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
"""
"""The functions of the application's own: those of extensions are no code that looks at its rows."""
FUNCTIONS = f"SELECT p.proname::text, {_CODE}, p.provolatile = 'v', p.prorettype = 'trigger'::regtype {_OWN}"
_WHEN = r"substring(pg_get_triggerdef(t.oid) from ' WHEN \((.*)\) EXECUTE ')"
TRIGGERS = f"""
SELECT {_SHORT}, concat_ws(' ', {_CODE}, {_WHEN}),
       p.proname::text, p.provolatile = 'v', t.tgtype::int, t.tginitdeferred, t.tgdeferrable
{_NAMED}
JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname <> '{TRIGGER}'
    AND t.tgenabled IN ('O', 'A')
JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
"""


HIDDEN = f"""
WITH RECURSIVE own AS (SELECT p.oid {_OWN}),
found (class, id, function) AS (
    SELECT d.classid, d.objid, d.refobjid
    FROM pg_depend d JOIN own ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = own.oid
    UNION
    SELECT next.class, next.id, f.function FROM found f, LATERAL (
        SELECT d.classid, d.objid FROM pg_depend d WHERE d.refclassid = f.class AND d.refobjid = f.id
            AND f.class IN ('pg_operator'::regclass, 'pg_type'::regclass)
        UNION ALL SELECT 'pg_type'::regclass, k.contypid FROM pg_constraint k
            WHERE f.class = 'pg_constraint'::regclass AND k.oid = f.id AND k.contypid <> 0
        UNION ALL SELECT 'pg_type'::regclass, c.reltype FROM pg_class c
            WHERE f.class = 'pg_class'::regclass AND c.oid = f.id AND c.relkind = 'c'
        UNION ALL SELECT 'pg_type'::regclass, t.oid
            FROM pg_cast k JOIN pg_type t ON t.oid IN (k.castsource, k.casttarget)
            WHERE f.class = 'pg_cast'::regclass AND k.oid = f.id AND t.typnamespace <> 'pg_catalog'::regnamespace
    ) next (class, id)
),
placed (relation, type, function, kind) AS (
    SELECT a.adrelid, NULL, f.function, 'stored' FROM found f
    JOIN pg_attrdef a ON f.class = 'pg_attrdef'::regclass AND a.oid = f.id
    UNION SELECT k.conrelid, NULL, f.function, 'stored' FROM found f
    JOIN pg_constraint k ON f.class = 'pg_constraint'::regclass AND k.oid = f.id
    UNION SELECT coalesce(i.indrelid, c.oid), NULL, f.function,
        CASE WHEN i.indrelid IS NULL THEN 'stored' ELSE 'indexed' END
    FROM found f JOIN pg_class c ON f.class = 'pg_class'::regclass AND c.oid = f.id
    LEFT JOIN pg_index i ON i.indexrelid = c.oid
    UNION SELECT NULL, '::' || t.typname, f.function, 'used' FROM found f
    JOIN pg_type t ON f.class = 'pg_type'::regclass AND t.oid = f.id AND t.typtype = 'd'
)
SELECT (SELECT {_SHORT} {_NAMED} WHERE c.oid = d.relation), d.type, p.proname || '()', {_CODE}, d.kind
FROM placed d JOIN pg_proc p ON p.oid = d.function
UNION ALL
SELECT (SELECT {_SHORT} {_NAMED} WHERE c.oid = y.polrelid), NULL, '',
       concat_ws(' ', pg_get_expr(y.polqual, y.polrelid), pg_get_expr(y.polwithcheck, y.polrelid)), 'used'
FROM pg_policy y
"""
"""The code behind defaults, checks, domains, indexes, also by way of operators, casts and types of columns, and
policies. It runs when a row is stored, when it is in the table and its indexes get their entries, or
whenever the table or type is used."""
SPELLED = f"""
SELECT s.name, p.proname || '()' {_OWN} JOIN (
    SELECT o.oprname::text, o.oprcode::oid FROM pg_operator o
    WHERE NOT EXISTS (
        SELECT FROM pg_operator b WHERE b.oprname = o.oprname AND b.oprnamespace = 'pg_catalog'::regnamespace
    )
    UNION ALL SELECT '::' || t.typname, k.castfunc FROM pg_cast k
    JOIN pg_type t ON t.oid IN (k.castsource, k.casttarget) AND t.typnamespace <> 'pg_catalog'::regnamespace
    UNION ALL SELECT '.' || f.proname, f.oid FROM pg_proc f
    JOIN pg_type t ON f.pronargs = 1 AND t.oid = f.proargtypes[0] AND t.typtype = 'c'
    UNION ALL SELECT a.aggfnoid::oid::regproc::text, each
    FROM pg_aggregate a, unnest(ARRAY[a.aggtransfn::oid, a.aggfinalfn::oid]) each
) s (name, function) ON s.function = p.oid
"""
"""What runs a function without naming it: an operator, a cast, a field of a row that is none, an aggregate."""
_TABLES = f"WITH named AS (SELECT c.oid, {_SHORT} AS name {_NAMED} WHERE c.relkind IN ('r', 'p', 'f'))"
CASCADES = f"""
{_TABLES} SELECT a.name, b.name, k.confdeltype::text, k.confupdtype::text
FROM pg_constraint k JOIN named a ON a.oid = k.confrelid JOIN named b ON b.oid = k.conrelid WHERE k.contype = 'f'
"""
CHILDREN = f"""
{_TABLES} SELECT a.name, b.name
FROM pg_inherits i JOIN named a ON a.oid = i.inhparent JOIN named b ON b.oid = i.inhrelid
"""
RULES = f"""
SELECT {_SHORT}, CASE r.ev_type WHEN '2' THEN 'update' WHEN '3' THEN 'insert' WHEN '4' THEN 'delete' END,
       pg_get_ruledef(r.oid)
{_NAMED} JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename <> '_RETURN'
"""
