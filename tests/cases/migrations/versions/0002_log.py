"""Who took which seat, written by a trigger."""

from alembic import op

revision, down_revision = "0002", "0001"


def upgrade():
    op.execute("CREATE TABLE theatre.log (id serial PRIMARY KEY, taken_by text)")
    op.execute(
        "CREATE FUNCTION theatre.note() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO theatre.log (taken_by) VALUES (NEW.taken_by); RETURN NEW; END $$"
    )
    op.execute("CREATE TRIGGER note AFTER UPDATE ON theatre.seat FOR EACH ROW EXECUTE FUNCTION theatre.note()")
