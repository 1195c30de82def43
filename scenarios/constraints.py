"""Constraints: what the application checks before it writes, only the database can hold under concurrency."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import (
    Account,
    Bank,
    Episode,
    Episodes,
    House,
    LooseMember,
    LooseSegment,
    LooseTask,
    LooseTicket,
    Member,
    Segment,
    Task,
    TaskStatus,
    Ticket,
    Wallet,
    Work,
)
from scenarios.transfer import InsufficientFundsError

__all__ = [
    "FirstLogin",
    "GetThenCreate",
    "NameCheckedByTheApplication",
    "NameTakenError",
    "OwnerMayBeNull",
    "ParentCheckedByTheApplication",
    "Registration",
    "SegmentsOfKnownEpisodes",
    "StatusIsAnyText",
    "StatusIsKnown",
    "TicketHandover",
    "WithdrawalCheckedByTheApplication",
    "WithdrawalUnderACheck",
]


# ---------------------------------------------------------------------- foreign key


@claim(
    title="A child has a parent",
    acid="Consistency",
    critical="orphans break every query that joins them and cannot be repaired by the application",
    test="tests/database/test_database_invariants.py::test_foreign_key_constraint",
)
@dataclass(frozen=True)
class SegmentsOfKnownEpisodes(Scenario):
    """Segments arrive for episodes 1, 2 and 999, of which 1, 2 and 3 exist, while episode 2 is deleted.

    A foreign key refuses a segment whose episode is not there, or no longer.
    """

    arriving: tuple[int, ...] = (1, 2, 999)

    metadata = Episodes.metadata
    segments: ClassVar[type[Segment | LooseSegment]] = Segment

    async def setup(self, session: AsyncSession) -> None:
        """Three episodes."""
        session.add_all([Episode(id=1), Episode(id=2), Episode(id=3)])

    @actor
    async def recorder(self, session: AsyncSession) -> None:
        """Stores the segments whose episode exists; the others are skipped."""
        async with session.begin():
            for episode in self.arriving:
                if await session.get(Episode, episode) is not None:
                    with contextlib.suppress(IntegrityError):  # the episode was deleted just now
                        async with session.begin_nested():
                            session.add(self.segments(episode_id=episode))

    @actor
    async def deleter(self, session: AsyncSession) -> None:
        """Deletes episode 2 and its segments."""
        async with session.begin():
            await session.execute(delete(self.segments).where(self.segments.episode_id == 2))
            await session.execute(delete(Episode).where(Episode.id == 2))

    @invariant
    async def every_segment_has_its_episode(self, session: AsyncSession) -> None:
        """No segment names an episode that is not there."""
        orphans = select(self.segments.episode_id).where(self.segments.episode_id.not_in(select(Episode.id)))
        found = (await session.scalars(orphans)).all()
        assert not found, f"a segment names episode {found[0]}, which does not exist"


@planted_bug(
    of=SegmentsOfKnownEpisodes,
    token="lab1:scenarios.constraints:ParentCheckedByTheApplication::-:deleter.recorder10.deleter2:vllz5:pvgw5x",
    cause="the application looks whether the episode exists, and it is deleted between that look and the INSERT",
    fix="declare the foreign key: its lock on the episode lasts until the INSERT commits",
)
@dataclass(frozen=True)
class ParentCheckedByTheApplication(SegmentsOfKnownEpisodes):
    """The same code on a table without the foreign key."""

    segments = LooseSegment


# ---------------------------------------------------------------------- unique


class NameTakenError(Exception):
    """Somebody else has this name."""


@claim(
    title="A name belongs to one account",
    acid="Consistency",
    critical="two accounts of one name share their password resets",
    test="tests/database/test_database_invariants.py::test_unique_constraint",
)
@dataclass(frozen=True)
class Registration(Scenario):
    """Two people register under one name; one gets it, the other gets the error that it is taken."""

    metadata = House.metadata
    allows = (NameTakenError,)
    members: ClassVar[type[Member | LooseMember]] = Member

    @actor(names=("one", "other"))
    async def visitor(self, session: AsyncSession) -> None:
        """Looks whether the name is free and takes it."""
        try:
            async with session.begin():
                if await session.scalar(select(self.members.id).where(self.members.name == "kim")):
                    raise NameTakenError
                session.add(self.members(name="kim"))
        except IntegrityError as error:
            raise NameTakenError from error

    @invariant
    async def a_name_belongs_to_one_member(self, session: AsyncSession) -> None:
        """Exactly one of the two has the name."""
        holders = await session.scalar(select(func.count(self.members.id)).where(self.members.name == "kim"))
        assert holders == 1, f"{holders} members have the name"


@planted_bug(
    of=Registration,
    token="lab1:scenarios.constraints:NameCheckedByTheApplication::-:one.other3.one2:v5jom:4wljsc",
    cause="both requests find the name free before either of them has committed its INSERT",
    fix="declare the column unique, and show the user an error when the constraint objects",
)
@dataclass(frozen=True)
class NameCheckedByTheApplication(Registration):
    """The same code on a table without the unique constraint."""

    members = LooseMember


@claim(
    title="Get-or-create creates once",
    acid="Consistency",
    critical="the second tab of a first login must not end in an error",
    test="tests/database/test_database_invariants.py::test_get_or_create_makes_one",
)
@dataclass(frozen=True)
class FirstLogin(Scenario):
    """One person logs in for the first time in two tabs; both get the same member, made once.

    INSERT … ON CONFLICT DO NOTHING first, then SELECT: whoever comes second waits for the first and finds the row.
    """

    metadata = House.metadata

    async def get_or_create(self, session: AsyncSession) -> int:
        """The id of the member, who is made if needed."""
        async with session.begin():
            await session.execute(insert(Member).values(name="kim").on_conflict_do_nothing())
            return (await session.scalars(select(Member.id).where(Member.name == "kim"))).one()

    @actor(names=("tab1", "tab2"))
    async def tab(self, session: AsyncSession) -> int:
        """Logs in."""
        return await self.get_or_create(session)

    @invariant
    async def both_tabs_get_the_same_member(self, outcome: Outcome) -> None:
        """Nobody is turned away, and there is one member."""
        ids = {result.text for result in outcome.results.values() if result.returned}
        assert len(ids) == 1, f"the tabs got {' and '.join(sorted(ids)) or 'nothing'}"


@planted_bug(
    of=FirstLogin,
    token="lab1:scenarios.constraints:GetThenCreate::-:tab1-1.tab2-3.tab1-2:lztzc:azojbh",
    cause="both tabs find no member and insert one; the slower tab ends with the unique constraint's error",
    fix="INSERT ... ON CONFLICT DO NOTHING, then SELECT",
)
@dataclass(frozen=True)
class GetThenCreate(FirstLogin):
    """Selects, and inserts what was not found: two requests can both find nothing."""

    async def get_or_create(self, session: AsyncSession) -> int:
        """The id of the member, who is made if the SELECT finds none."""
        async with session.begin():
            found = await session.scalar(select(Member).where(Member.name == "kim"))
            if found is None:
                found = Member(name="kim")
                session.add(found)
                await session.flush()
            return found.id


# ---------------------------------------------------------------------- check


@claim(
    title="A CHECK holds where the application's own check does not",
    acid="Consistency",
    critical="two requests that were each allowed overdraw the account together",
    test="tests/database/test_database_invariants.py::test_check_constraint",
)
@dataclass(frozen=True)
class WithdrawalUnderACheck(Scenario):
    """Two withdrawals each pass the application's check; the database's CHECK lets only one of them through."""

    balance: int = 100
    amount: int = 60

    metadata = Bank.metadata
    allows = (InsufficientFundsError,)
    accounts: ClassVar[type[Wallet | Account]] = Wallet

    async def setup(self, session: AsyncSession) -> None:
        """One account."""
        session.add(self.accounts(id=1, balance=self.balance))

    @actor(names=("ann", "ben"))
    async def customer(self, session: AsyncSession) -> None:
        """Looks whether there is enough, and takes the amount."""
        try:
            async with session.begin():
                balance = (await session.scalars(select(self.accounts.balance))).one()
                if balance < self.amount:
                    raise InsufficientFundsError
                await session.execute(update(self.accounts).values(balance=self.accounts.balance - self.amount))
        except IntegrityError as error:
            raise InsufficientFundsError from error

    @invariant
    async def the_balance_is_never_negative(self, session: AsyncSession) -> None:
        """What the CHECK says."""
        balance = (await session.scalars(select(self.accounts.balance))).one()
        assert balance >= 0, f"the balance is {balance}"

    @invariant
    async def every_withdrawal_is_booked(self, session: AsyncSession, outcome: Outcome) -> None:
        """What was paid out is missing from the balance, and nothing else is."""
        balance = (await session.scalars(select(self.accounts.balance))).one()
        expected = [self.balance - self.amount * len(done) for done in outcome.possible]
        assert balance in expected, f"the balance is {balance}, expected {expected[0]}"


@planted_bug(
    of=WithdrawalUnderACheck,
    token="lab1:scenarios.constraints:WithdrawalCheckedByTheApplication::-:ann.ben3.ann2:27s7y:g4kkm5",
    cause="both withdrawals pass the check on the same balance before either of them subtracts",
    fix="declare CHECK (balance >= 0), or lock the row before the check",
)
@dataclass(frozen=True)
class WithdrawalCheckedByTheApplication(WithdrawalUnderACheck):
    """The same code on a table without the CHECK."""

    accounts = Account


# ---------------------------------------------------------------------- enum


@claim(
    title="A status is one of the known words",
    acid="Consistency",
    critical="a word that no code knows leaves the task without a valid state",
    test="tests/database/test_database_invariants.py::test_enum_constraint",
)
@dataclass(frozen=True)
class StatusIsKnown(Scenario):
    """A worker and a partner's callback set the status of a task; the partner sends a word that nobody knows.

    The column is an enumeration of the database, so it refuses the word (22P02) and the task keeps a known status.
    """

    word: str = "finnished"

    metadata = Work.metadata
    allows = ("22P02",)
    tasks: ClassVar[type[Task | LooseTask]] = Task

    async def setup(self, session: AsyncSession) -> None:
        """One running task."""
        session.add(self.tasks(id=1, status=TaskStatus.RUNNING.value))

    async def set_status(self, session: AsyncSession, word: str) -> None:
        """Write the status as it came in."""
        async with session.begin():
            await session.execute(update(self.tasks).where(self.tasks.id == 1).values(status=word))

    @actor
    async def worker(self, session: AsyncSession) -> None:
        """Reports that the task is done."""
        await self.set_status(session, TaskStatus.DONE.value)

    @actor
    async def partner(self, session: AsyncSession) -> None:
        """Reports it too, in a word of its own."""
        await self.set_status(session, self.word)

    @invariant
    async def the_status_is_one_of_the_known(self, session: AsyncSession) -> None:
        """Whoever reads the task understands its status."""
        statuses = await session.scalars(select(func.concat(self.tasks.status)))
        known = {each.value for each in TaskStatus}
        unknown = [each for each in statuses if each not in known]
        assert not unknown, f"the status is {unknown[0]!r}"


@planted_bug(
    of=StatusIsKnown,
    token="lab1:scenarios.constraints:StatusIsAnyText::-:worker2.partner2:cqffg:r3qgh5",
    cause="the column is plain text, so it takes any word, and the last writer's word stays",
    fix="make the column an enumeration of the database",
)
@dataclass(frozen=True)
class StatusIsAnyText(StatusIsKnown):
    """The same code on a plain string column."""

    tasks = LooseTask


# ---------------------------------------------------------------------- not null


@claim(
    title="A ticket always has an owner",
    acid="Consistency",
    critical="nobody works on a ticket without an owner",
    test="tests/database/test_database_invariants.py::test_not_null_constraint",
)
@dataclass(frozen=True)
class TicketHandover(Scenario):
    """A ticket goes to whoever is on duty, just as the last one goes off duty: it keeps an owner.

    The column is NOT NULL, so a handover to nobody is refused (23502) and the ticket stays where it was.
    """

    metadata = House.metadata
    allows = ("23502",)
    tickets: ClassVar[type[Ticket | LooseTicket]] = Ticket

    async def setup(self, session: AsyncSession) -> None:
        """A ticket of ann's, and ben on duty."""
        session.add_all([self.tickets(id=1, owner="ann"), Member(id=1, name="ben", on_duty=True)])

    @actor
    async def ann(self, session: AsyncSession) -> None:
        """Hands the ticket over, if somebody is on duty."""
        on_duty = select(Member.name).where(Member.on_duty).order_by(Member.id).limit(1)
        async with session.begin():
            if await session.scalar(on_duty) is not None:
                await session.execute(update(self.tickets).values(owner=on_duty.scalar_subquery()))

    @actor
    async def ben(self, session: AsyncSession) -> None:
        """Goes off duty."""
        async with session.begin():
            await session.execute(update(Member).where(Member.name == "ben").values(on_duty=False))

    @invariant
    async def every_ticket_has_an_owner(self, session: AsyncSession) -> None:
        """Every ticket has an owner."""
        nobodys = (await session.scalars(select(self.tickets.id).where(self.tickets.owner.is_(None)))).all()
        assert not nobodys, f"ticket {nobodys[0]} has no owner"


@planted_bug(
    of=TicketHandover,
    token="lab1:scenarios.constraints:OwnerMayBeNull::-:ann.ben2.ann2:5oj33:zuqp7r",
    cause="the last member goes off duty between the check and the UPDATE, whose subquery then finds nobody",
    fix="declare the column NOT NULL",
)
@dataclass(frozen=True)
class OwnerMayBeNull(TicketHandover):
    """The same code on a column that may be NULL."""

    tickets = LooseTicket
