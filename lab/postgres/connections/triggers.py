"""What the lab installs in a database of its own, so that sessions send their clients word of what they change.

Each message comes before the answer to the statement that caused it, so it costs no round trip. The trigger on tables
sends rows, in sessions that are recorded. The event triggers send that the catalog changed; nothing is asked of the
server about that unless it happened. They need a superuser; elsewhere `tables.changes` asks after each execution.
Temporary tables do not count: they go with the state of their session.
"""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["ALTERED", "SCHEMA", "TRIGGER", "WRITTEN", "install", "install_on_catalog"]

WRITTEN = "lab: written"
"""The message in which the trigger reports a row; its detail is [operation, table's object id, old row, new row]."""
ALTERED = "lab: altered"
"""The message that the catalog changed; its detail maps the object ids of relations made or altered to their names."""
SCHEMA = "concurrency_lab"
TRIGGER = "zz_concurrency_lab"
_FUNCTION = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE OR REPLACE FUNCTION {SCHEMA}.report() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE INFO USING MESSAGE = '{WRITTEN}',
    DETAIL = pg_catalog.json_build_array(TG_OP, TG_RELID::bigint, pg_catalog.to_jsonb(OLD), pg_catalog.to_jsonb(NEW));
  RETURN NULL;
END $$;
"""
_TRIGGER = f"""
CREATE OR REPLACE TRIGGER {TRIGGER} AFTER INSERT OR UPDATE OR DELETE ON {{}} FOR EACH ROW
WHEN (current_setting('lab.recording', true) = 'on') EXECUTE FUNCTION {SCHEMA}.report();
"""
_ON_CATALOG = f"""
CREATE OR REPLACE FUNCTION {SCHEMA}.altered() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog AS $$
DECLARE
  made json;
  made_now text;
BEGIN
  IF TG_EVENT = 'sql_drop' THEN
    SELECT '{{}}'::json INTO made WHERE EXISTS (SELECT FROM pg_event_trigger_dropped_objects() WHERE NOT is_temporary);
  ELSE
    SELECT coalesce(json_object_agg(c.objid, c.object_identity) FILTER (WHERE c.classid = 'pg_class'::regclass), '{{}}')
    INTO made FROM pg_event_trigger_ddl_commands() c
    WHERE c.schema_name IS DISTINCT FROM 'pg_temp' AND c.command_tag <> 'REFRESH MATERIALIZED VIEW'
    HAVING count(*) > 0;
    IF current_setting('lab.recording', true) = 'on' AND TG_TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')
    THEN
      FOR made_now IN SELECT t.oid::regclass FROM pg_event_trigger_ddl_commands() c JOIN pg_class t ON t.oid = c.objid
        WHERE c.classid = 'pg_class'::regclass AND t.relkind = 'r' AND t.relpersistence <> 't' AND NOT EXISTS (
          SELECT FROM pg_trigger g WHERE g.tgrelid = t.oid AND g.tgname = '{TRIGGER}')
      LOOP
        EXECUTE format($script${_TRIGGER.format("%s")}$script$, made_now);
      END LOOP;
    END IF;
  END IF;
  IF made IS NOT NULL THEN
    RAISE INFO USING MESSAGE = '{ALTERED}', DETAIL = made;
  END IF;
END $$;
DROP EVENT TRIGGER IF EXISTS {TRIGGER}_made;
CREATE EVENT TRIGGER {TRIGGER}_made ON ddl_command_end EXECUTE FUNCTION {SCHEMA}.altered();
DROP EVENT TRIGGER IF EXISTS {TRIGGER}_dropped;
CREATE EVENT TRIGGER {TRIGGER}_dropped ON sql_drop EXECUTE FUNCTION {SCHEMA}.altered();
"""


def install(tables: Collection[str]) -> str:
    """The script that makes tables, by their quoted names, report their writes."""
    return _FUNCTION + "".join(map(_TRIGGER.format, tables))


def install_on_catalog() -> str:
    """The script that makes sessions report changes of the catalog, to be run after that of `install`."""
    return _ON_CATALOG
