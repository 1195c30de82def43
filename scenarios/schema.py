"""The tables of the shipped scenarios, in four small groups.

Each group is a metadata of its own, since an execution restores every table of its scenario's metadata: few tables
are quick to restore, and four groups need no more than four databases.
"""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Account", "Bank", "Counter"]


class Bank(DeclarativeBase):
    """Money: accounts and counters."""

    metadata = MetaData()


class Account(Bank):
    """An account and its balance. No constraint guards the balance: the application has to."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


class Counter(Bank):
    """A row that requests count on: followers, likes, stock."""

    __tablename__ = "counter"

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(default=0)
