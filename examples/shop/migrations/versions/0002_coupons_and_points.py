"""Loyalty points, and coupons that give some."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Every customer begins without points."""
    op.add_column("customers", sa.Column("points", sa.Integer, nullable=False, server_default="0"))
    op.create_check_constraint("ck_customers_points", "customers", "points >= 0")
    op.create_table(
        "coupons",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("code", sa.String(40), nullable=False, unique=True),
        sa.Column("points", sa.Integer, nullable=False),
        sa.Column("redeemable", sa.Integer, nullable=False),
    )
    op.create_table(
        "redemptions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("coupon_id", sa.Integer, sa.ForeignKey("coupons.id"), nullable=False, index=True),
        sa.Column("customer_id", sa.Integer, sa.ForeignKey("customers.id"), nullable=False),
        sa.Column("redeemed_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )


def downgrade() -> None:
    """Forget coupons and points."""
    op.drop_table("redemptions")
    op.drop_table("coupons")
    op.drop_constraint("ck_customers_points", "customers")
    op.drop_column("customers", "points")
