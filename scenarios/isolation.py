"""Isolation: what a transaction may see of the others, and the anomalies that each level allows.

The probes are ordinary code without any lock. Their invariants break at the levels at which PostgreSQL allows the
anomaly, which `allowed_at` names, and hold at the others, where somebody is refused instead: run them with
`--isolation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug, probe
from scenarios.schema import Account, Bank

__all__ = [
    "CacheFilledBeforeTheCommit",
    "ConsistentReport",
    "LostUpdateAnomaly",
    "NoDirtyRead",
    "PhantomAnomaly",
    "ReadOnlyAnomaly",
    "ReadSkewAnomaly",
    "ReportAtReadCommitted",
    "WriteSkewAnomaly",
]


class MindChangedError(Exception):
    """The request changes its mind and rolls back."""


async def balance_of(session: AsyncSession, account: int) -> int:
    """The balance of one account."""
    return (await session.scalars(select(Account.balance).where(Account.id == account))).one()


async def add_to(session: AsyncSession, account: int, amount: int) -> None:
    """Change a balance where it stands, in the database."""
    await session.execute(update(Account).where(Account.id == account).values(balance=Account.balance + amount))


@dataclass(frozen=True)
class TwoAccounts(Scenario):
    """Two accounts with the same balance; no actors yet."""

    balance: int = 100

    metadata = Bank.metadata
    allowed_at: ClassVar[tuple[str, ...]] = ()

    async def setup(self, session: AsyncSession) -> None:
        """Accounts 1 and 2."""
        session.add_all([Account(id=1, balance=self.balance), Account(id=2, balance=self.balance)])


@claim(
    title="Nobody sees what is not committed",
    acid="Isolation",
    critical="a decision made on a value that is rolled back later cannot be explained",
    test="tests/database/test_database_transaction_invariants.py::test_no_dirty_read",
    max_examples=80,
)
@dataclass(frozen=True)
class NoDirtyRead(TwoAccounts):
    """Nobody sees a balance that was written but not committed, at any level."""

    @actor(allows=(MindChangedError,))
    async def writer(self, session: AsyncSession) -> None:
        """Writes both balances and rolls back."""
        async with session.begin():
            await add_to(session, 1, -50)
            await add_to(session, 2, 50)
            raise MindChangedError

    @actor(names=("reader", "other_reader"))
    async def reader(self, session: AsyncSession) -> list[int]:
        """Reads both balances."""
        return [await self.look_up(session, 1), await self.look_up(session, 2)]

    async def look_up(self, session: AsyncSession, account: int) -> int:
        """A balance, as the database returns it."""
        return await balance_of(session, account)

    @invariant
    async def nobody_sees_what_was_never_committed(self, outcome: Outcome) -> None:
        """Every reader finds the first balances."""
        for name in ("reader", "other_reader"):
            seen = outcome.results[name]
            assert not seen.returned or seen.value == [self.balance] * 2, f"{name} saw {seen.text}"


@planted_bug(
    of=NoDirtyRead,
    token="lab1:scenarios.isolation:CacheFilledBeforeTheCommit::-:writer5.reader2.other_reader2:eywln:rq74vk",
    cause="the new balances are in the cache before they are committed, and stay there when they are rolled back",
    fix="fill or clear the cache after the commit",
)
@dataclass(frozen=True)
class CacheFilledBeforeTheCommit(NoDirtyRead):
    """Keeps balances in a cache of the process, and puts the new ones there while its transaction is still open."""

    cache: ClassVar[dict[int, int]] = {}

    @actor(allows=(MindChangedError,))
    async def writer(self, session: AsyncSession) -> None:
        """Writes both balances, also to the cache, and rolls back."""
        self.cache.clear()  # the process starts anew with each execution
        async with session.begin():
            for account, amount in ((1, -50), (2, 50)):
                await add_to(session, account, amount)
                self.cache[account] = await balance_of(session, account)
            raise MindChangedError

    async def look_up(self, session: AsyncSession, account: int) -> int:
        """A balance, from the cache if it is there."""
        if account in self.cache:
            return self.cache[account]
        return await balance_of(session, account)


@claim(
    title="A report of several statements sees one moment",
    acid="Isolation",
    critical="a balance sheet that mixes two moments is wrong although every row in it was right",
    test="tests/database/test_database_transaction_invariants.py::test_transaction_isolation",
    max_examples=80,
)
@dataclass(frozen=True)
class ConsistentReport(TwoAccounts):
    """A report reads two accounts in two statements while money moves between them; it sees all the money.

    It runs at REPEATABLE READ, where both statements see one moment.
    """

    @actor
    async def mover(self, session: AsyncSession) -> None:
        """Moves 10 from account 1 to account 2."""
        async with session.begin():
            await add_to(session, 1, -10)
            await add_to(session, 2, 10)

    @actor(isolation="REPEATABLE READ")
    async def report(self, session: AsyncSession) -> int:
        """Adds up both balances."""
        return await self.sum_of_both(session)

    async def sum_of_both(self, session: AsyncSession) -> int:
        """Both balances, read one after the other."""
        return await balance_of(session, 1) + await balance_of(session, 2)

    @invariant
    async def the_report_sees_all_the_money(self, outcome: Outcome) -> None:
        """No money is missing or counted twice."""
        seen = outcome.results["report"]
        assert not seen.returned or seen.value == 2 * self.balance, f"saw {seen.value}, expected {2 * self.balance}"


@planted_bug(
    of=ConsistentReport,
    token="lab1:scenarios.isolation:ReportAtReadCommitted::-:report.mover3.report2:uziaw:gessro",
    cause="at READ COMMITTED each statement sees a moment of its own, and money moved between the two",
    fix="read at REPEATABLE READ, or read both balances in one statement",
)
@dataclass(frozen=True)
class ReportAtReadCommitted(ConsistentReport):
    """The same report at the default level."""

    @actor(isolation="READ COMMITTED")
    async def report(self, session: AsyncSession) -> int:
        """Adds up both balances."""
        return await self.sum_of_both(session)


# ---------------------------------------------------------------------- probes


@probe
@dataclass(frozen=True)
class LostUpdateAnomaly(TwoAccounts):
    """P4: two deposits read the same balance and each writes its own sum. READ COMMITTED allows it."""

    allowed_at = ("READ COMMITTED",)

    @actor(names=("first", "second"))
    async def depositor(self, session: AsyncSession) -> None:
        """Adds 10 to account 1 by read, modify, write."""
        async with session.begin():
            account = await session.get_one(Account, 1)
            account.balance += 10

    @invariant
    async def no_deposit_is_lost(self, session: AsyncSession, outcome: Outcome) -> None:
        """The balance has grown by 10 for each success."""
        balance, expected = await balance_of(session, 1), self.balance + 10 * len(outcome.committed)
        assert balance == expected, f"the balance is {balance}, expected {expected}"


@probe
@dataclass(frozen=True)
class ReadSkewAnomaly(TwoAccounts):
    """G-single: a reader sees one account before a transfer and the other one after. READ COMMITTED allows it."""

    allowed_at = ("READ COMMITTED",)

    @actor
    async def mover(self, session: AsyncSession) -> None:
        """Moves 10 from account 1 to account 2."""
        async with session.begin():
            await add_to(session, 1, -10)
            await add_to(session, 2, 10)

    @actor
    async def reader(self, session: AsyncSession) -> int:
        """Adds up both balances."""
        async with session.begin():
            return await balance_of(session, 1) + await balance_of(session, 2)

    @invariant
    async def the_reader_sees_all_the_money(self, outcome: Outcome) -> None:
        """The sum is what it always is."""
        seen = outcome.results["reader"]
        assert not seen.returned or seen.value == 2 * self.balance, f"saw {seen.value}, expected {2 * self.balance}"


@probe
@dataclass(frozen=True)
class WriteSkewAnomaly(TwoAccounts):
    """G2-item: two accounts may be overdrawn as long as their sum is not, and each request checks the sum.

    READ COMMITTED and REPEATABLE READ allow it: the requests read both rows and write different ones.
    """

    allowed_at = ("READ COMMITTED", "REPEATABLE READ")

    async def withdraw(self, session: AsyncSession, account: int) -> str:
        """Take one and a half balances from an account, if both together hold as much."""
        amount = self.balance * 3 // 2
        async with session.begin():
            together = await session.scalar(select(func.sum(Account.balance))) or 0
            if together < amount:
                return "refused"
            await add_to(session, account, -amount)
            return "paid"

    @actor
    async def ann(self, session: AsyncSession) -> str:
        """Withdraws from account 1."""
        return await self.withdraw(session, 1)

    @actor
    async def ben(self, session: AsyncSession) -> str:
        """Withdraws from account 2."""
        return await self.withdraw(session, 2)

    @invariant
    async def both_together_are_not_overdrawn(self, session: AsyncSession) -> None:
        """The sum is not negative."""
        together = await session.scalar(select(func.sum(Account.balance))) or 0
        assert together >= 0, f"both accounts together hold {together}"


@probe
@dataclass(frozen=True)
class PhantomAnomaly(TwoAccounts):
    """PMP: a transaction asks the same question twice and finds a row more. READ COMMITTED allows it."""

    allowed_at = ("READ COMMITTED",)

    @actor
    async def counter(self, session: AsyncSession) -> list[int]:
        """Counts the accounts that hold something, twice."""
        rich = select(func.count(Account.id)).where(Account.balance > 0)
        async with session.begin():
            return [(await session.scalars(rich)).one(), (await session.scalars(rich)).one()]

    @actor
    async def founder(self, session: AsyncSession) -> None:
        """Opens a third account."""
        async with session.begin():
            session.add(Account(id=3, balance=self.balance))

    @invariant
    async def the_same_question_has_the_same_answer(self, outcome: Outcome) -> None:
        """Both counts agree."""
        counts = outcome.results["counter"]
        assert not isinstance(counts.value, list) or len(set(counts.value)) == 1, f"counted {counts.text}"


@probe
@dataclass(frozen=True)
class ReadOnlyAnomaly(Scenario):
    """G2: a report that only reads shows a state that no serial order explains. Only SERIALIZABLE prevents it.

    A withdrawal that overdraws both accounts together costs a fee. The report shows the deposit but not the
    withdrawal, so the withdrawal came later and cost no fee; yet it was charged, for it had not seen the deposit.
    """

    metadata = Bank.metadata
    allowed_at: ClassVar[tuple[str, ...]] = ("READ COMMITTED", "REPEATABLE READ")

    async def setup(self, session: AsyncSession) -> None:
        """Two empty accounts."""
        session.add_all([Account(id=1, balance=0), Account(id=2, balance=0)])

    @actor
    async def withdrawer(self, session: AsyncSession) -> None:
        """Takes 10 from account 1, and 1 more as a fee if both together hold less."""
        async with session.begin():
            together = await session.scalar(select(func.sum(Account.balance))) or 0
            await add_to(session, 1, -10 if together >= 10 else -11)

    @actor
    async def depositor(self, session: AsyncSession) -> None:
        """Pays 20 into account 2."""
        async with session.begin():
            await add_to(session, 2, 20)

    @actor
    async def report(self, session: AsyncSession) -> list[int]:
        """Shows both balances, read in one statement."""
        async with session.begin():
            return list(await session.scalars(select(Account.balance).order_by(Account.id)))

    @invariant
    async def the_report_agrees_with_the_fee(self, session: AsyncSession, outcome: Outcome) -> None:
        """If the report shows the deposit before the withdrawal, there is no fee."""
        shown, balance = outcome.results["report"].value, await balance_of(session, 1)
        assert not (shown == [0, 20] and balance == -11), "the report shows [0, 20], yet a fee was charged"
