"""Seats, in a schema of their own, with reference data."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade():
    op.execute("CREATE SCHEMA theatre")
    op.execute("CREATE TYPE theatre.row_kind AS ENUM ('stalls', 'circle')")
    op.create_table(
        "seat",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("taken_by", sa.Text),
        schema="theatre",
    )
    op.execute("ALTER TABLE theatre.seat ALTER kind TYPE theatre.row_kind USING kind::theatre.row_kind")
    op.execute("INSERT INTO theatre.seat VALUES (1, 'stalls', NULL)")
