"""The tables of the shipped scenarios, in small groups.

Each group is a metadata of its own, since an execution restores every table of its scenario's metadata, and few
tables are quick to restore. A table named `loose_…` lacks the constraint that its namesake has; one named
`legacy_…` lacks the cascade. Only planted bugs use those.
"""

from __future__ import annotations

import enum

from sqlalchemy import CheckConstraint, Enum, ForeignKey, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

__all__ = [
    "Account",
    "AgentRegistry",
    "Agents",
    "Article",
    "Bank",
    "Booking",
    "Charge",
    "Counter",
    "Coupon",
    "CreditLine",
    "Document",
    "Entry",
    "Episode",
    "Episodes",
    "Event",
    "Execution",
    "House",
    "Item",
    "Job",
    "LegacyAgent",
    "LegacyEpisode",
    "LegacyExecution",
    "LegacySegment",
    "LooseMember",
    "LooseSegment",
    "LooseTask",
    "LooseTicket",
    "Member",
    "Note",
    "PaymentKey",
    "Purchase",
    "Redemption",
    "Room",
    "Segment",
    "Shop",
    "Task",
    "TaskStatus",
    "Textbook",
    "Ticket",
    "Wallet",
    "Work",
]


class Bank(DeclarativeBase):
    """Money: accounts, wallets, ledgers."""

    metadata = MetaData()


class Account(Bank):
    """An account and its balance. No constraint guards the balance: the application has to."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


class Wallet(Bank):
    """An account whose balance the database keeps from going below zero."""

    __tablename__ = "wallet"
    __table_args__ = (CheckConstraint("balance >= 0", name="balance_is_not_negative"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


class Counter(Bank):
    """A row that requests count on: followers, likes, numbers drawn."""

    __tablename__ = "counter"

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(default=0)


class Entry(Bank):
    """An entry of the ledger: an amount, and the balance that it leaves."""

    __tablename__ = "entry"

    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]
    balance: Mapped[int]


class Agents(DeclarativeBase):
    """Registered agents and their executions."""

    metadata = MetaData()


class AgentRegistry(Agents):
    """A registered agent. The database deletes its executions with it."""

    __tablename__ = "agent_registry"

    agent_id: Mapped[str] = mapped_column(primary_key=True)
    executions: Mapped[list[Execution]] = relationship(cascade="all, delete-orphan", passive_deletes=True)


class Execution(Agents):
    """One execution of an agent."""

    __tablename__ = "execution"

    id: Mapped[int] = mapped_column(primary_key=True)
    agent_id: Mapped[str] = mapped_column(ForeignKey("agent_registry.agent_id", ondelete="CASCADE"))


class LegacyAgent(Agents):
    """A registered agent whose executions only the ORM deletes with it."""

    __tablename__ = "legacy_agent"

    agent_id: Mapped[str] = mapped_column(primary_key=True)
    executions: Mapped[list[LegacyExecution]] = relationship(
        cascade="all, delete-orphan",
        primaryjoin="LegacyAgent.agent_id == foreign(LegacyExecution.agent_id)",
    )


class LegacyExecution(Agents):
    """One execution of an agent, named by a column without a foreign key."""

    __tablename__ = "legacy_execution"

    id: Mapped[int] = mapped_column(primary_key=True)
    agent_id: Mapped[str]


class Episodes(DeclarativeBase):
    """Recorded episodes and their segments."""

    metadata = MetaData()


class Episode(Episodes):
    """A recorded episode. The database deletes its segments with it."""

    __tablename__ = "episode"

    id: Mapped[int] = mapped_column(primary_key=True)
    segments: Mapped[list[Segment]] = relationship(cascade="all, delete-orphan", passive_deletes=True)


class Segment(Episodes):
    """A part of an episode."""

    __tablename__ = "segment"

    id: Mapped[int] = mapped_column(primary_key=True)
    episode_id: Mapped[int] = mapped_column(ForeignKey("episode.id", ondelete="CASCADE"))


class LooseSegment(Episodes):
    """A part of an episode, named by a column without a foreign key."""

    __tablename__ = "loose_segment"

    id: Mapped[int] = mapped_column(primary_key=True)
    episode_id: Mapped[int]


class LegacyEpisode(Episodes):
    """A recorded episode whose segments only the ORM deletes with it."""

    __tablename__ = "legacy_episode"

    id: Mapped[int] = mapped_column(primary_key=True)
    segments: Mapped[list[LegacySegment]] = relationship(cascade="all, delete-orphan")


class LegacySegment(Episodes):
    """A part of an episode, by a foreign key without ON DELETE CASCADE."""

    __tablename__ = "legacy_segment"

    id: Mapped[int] = mapped_column(primary_key=True)
    episode_id: Mapped[int] = mapped_column(ForeignKey("legacy_episode.id"))


class Work(DeclarativeBase):
    """Documents, tasks, jobs and the events that report them."""

    metadata = MetaData()


class Document(Work):
    """A document that the ORM guards by a version counter."""

    __tablename__ = "document"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(default="")
    version: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  SQLAlchemy reads it from the class body


class Note(Work):
    """A document without a version."""

    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(default="")


class TaskStatus(enum.Enum):
    """What can be said of a task."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class Task(Work):
    """A task; the database knows the values of its status."""

    __tablename__ = "task"

    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[TaskStatus] = mapped_column(
        Enum(TaskStatus, name="task_status", values_callable=lambda statuses: [each.value for each in statuses])
    )


class LooseTask(Work):
    """A task whose status is any text."""

    __tablename__ = "loose_task"

    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]


class Job(Work):
    """A job in a queue; `runs` counts how often its work was done."""

    __tablename__ = "job"

    id: Mapped[int] = mapped_column(primary_key=True)
    done: Mapped[bool] = mapped_column(default=False)
    runs: Mapped[int] = mapped_column(default=0)


class Event(Work):
    """An event in an outbox; its id comes from a sequence."""

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    delivered: Mapped[bool] = mapped_column(default=False)


class Shop(DeclarativeBase):
    """Articles, credit, coupons and payments."""

    metadata = MetaData()


class Article(Shop):
    """An article with its price."""

    __tablename__ = "article"

    id: Mapped[int] = mapped_column(primary_key=True)
    category: Mapped[str] = mapped_column(default="books")
    price: Mapped[int] = mapped_column(default=10)


class CreditLine(Shop):
    """A customer's credit: how much there may be, and how much of it is used."""

    __tablename__ = "credit_line"

    id: Mapped[int] = mapped_column(primary_key=True)
    ceiling: Mapped[int]
    used: Mapped[int]


class Coupon(Shop):
    """A coupon that may be redeemed so many times."""

    __tablename__ = "coupon"

    id: Mapped[int] = mapped_column(primary_key=True)
    ceiling: Mapped[int]
    used: Mapped[int] = mapped_column(default=0)


class Purchase(Shop):
    """A purchase on credit."""

    __tablename__ = "purchase"

    id: Mapped[int] = mapped_column(primary_key=True)
    credit_line_id: Mapped[int] = mapped_column(ForeignKey("credit_line.id"))
    amount: Mapped[int]


class Redemption(Shop):
    """One use of a coupon."""

    __tablename__ = "redemption"

    id: Mapped[int] = mapped_column(primary_key=True)
    coupon_id: Mapped[int] = mapped_column(ForeignKey("coupon.id"))


class PaymentKey(Shop):
    """An idempotency key that has been seen."""

    __tablename__ = "payment_key"

    key: Mapped[str] = mapped_column(primary_key=True)


class Charge(Shop):
    """Money taken from a customer, with the idempotency key of the request."""

    __tablename__ = "charge"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str]
    amount: Mapped[int]


class House(DeclarativeBase):
    """Members of a team, their tickets, rooms and bookings."""

    metadata = MetaData()


class Member(House):
    """A member of a team; a name belongs to one member only."""

    __tablename__ = "member"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    admin: Mapped[bool] = mapped_column(default=False)
    on_duty: Mapped[bool] = mapped_column(default=False)


class LooseMember(House):
    """A member whose name nothing keeps unique."""

    __tablename__ = "loose_member"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Ticket(House):
    """A ticket and its owner."""

    __tablename__ = "ticket"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str]


class LooseTicket(House):
    """A ticket that may have no owner."""

    __tablename__ = "loose_ticket"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str | None]


class Room(House):
    """A room that can be booked."""

    __tablename__ = "room"

    id: Mapped[int] = mapped_column(primary_key=True)


class Booking(House):
    """A booking of a room, from an hour on until before another."""

    __tablename__ = "booking"

    id: Mapped[int] = mapped_column(primary_key=True)
    room_id: Mapped[int] = mapped_column(ForeignKey("room.id"))
    starts: Mapped[int]
    ends: Mapped[int]


class Textbook(DeclarativeBase):
    """What the textbooks on isolation write to."""

    metadata = MetaData()


class Item(Textbook):
    """A row with a value, and no meaning."""

    __tablename__ = "test"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[int]
