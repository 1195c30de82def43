"""Deadlocks: requests that lock rows in clashing order, one of which PostgreSQL has to refuse.

A deadlock is not a bug by itself: the victim gets an error and may try again. It is a bug to report success all the
same, and to have deadlocks at all where one order of locking would avoid them.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Integer, column, func, select, text, update, values
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.retry import is_retryable, retried
from scenarios.schema import Article, Bank, Counter, Shop

__all__ = [
    "AdvisoryLocksInOppositeOrder",
    "CoreUpdatesInOppositeOrder",
    "LineForOneRow",
    "OrderedLocks",
    "OrmUpdatesInOppositeOrder",
    "PriceJobs",
    "PriceJobsInOppositeOrder",
    "PriceLists",
    "PriceListsInOrderOfTheFile",
    "RetriedRing",
    "RetryOfTheLastStatement",
    "RingOfFour",
    "RingOfThree",
    "RingOfTwo",
    "ShareToExclusive",
    "SwallowedDeadlock",
]

RING = ("ann", "ben", "cleo", "dan")
VICTIM = "40P01"


async def count_up(session: AsyncSession, counter: int) -> None:
    """Add one to a counter where it stands, in the database."""
    await session.execute(update(Counter).where(Counter.id == counter).values(value=Counter.value + 1))


async def total(session: AsyncSession) -> int:
    """The sum of all counters."""
    return await session.scalar(select(func.coalesce(func.sum(Counter.value), 0))) or 0


def victims(outcome: Outcome) -> list[str]:
    """The actors that PostgreSQL refused in order to break a deadlock."""
    return [name for name, result in outcome.results.items() if result.sqlstate == VICTIM]


@claim(
    title="A deadlock has one victim, which gets an error, and nothing is lost",
    acid="Atomicity",
    critical="a victim that reports success loses an update without a trace",
    test="tests/database/test_database_invariants.py::test_deadlock_detection",
)
@dataclass(frozen=True)
class RingOfTwo(Scenario):
    """Two members follow each other at the same time: each counts on its own row, then on the other's.

    PostgreSQL refuses at most one of them; the other one's follow is counted on both rows.
    """

    metadata = Bank.metadata
    members = 2

    async def setup(self, session: AsyncSession) -> None:
        """A counter for each member."""
        session.add_all([Counter(id=member, value=0) for member in range(self.members)])

    async def follow(self, session: AsyncSession, name: str) -> str:
        """Count a follow on the row of the follower and on the row of the followed."""
        member = RING.index(name)
        async with session.begin():
            await count_up(session, member)
            await count_up(session, (member + 1) % self.members)
        return "followed"

    @actor(names=RING[:2])
    async def member(self, session: AsyncSession, name: str) -> str:
        """Follows the next one in the ring."""
        return await self.follow(session, name)

    @invariant
    async def at_most_one_is_refused(self, outcome: Outcome) -> None:
        """Once one victim has given up its locks, the ring is broken."""
        assert len(victims(outcome)) <= 1, f"{' and '.join(victims(outcome))} were refused"

    @invariant
    async def every_success_is_counted_twice(self, session: AsyncSession, outcome: Outcome) -> None:
        """What was reported as done is in the database, and nothing else is."""
        counted, expected = await total(session), [2 * len(done) for done in outcome.possible]
        assert counted in expected, f"{len(outcome.committed)} succeeded, so {expected[0]} counts, not {counted}"


@dataclass(frozen=True)
class RingOfFour(RingOfTwo):
    """Four members, each following the next: a deadlock that only all four together can make."""

    members = 4

    @actor(names=RING)
    async def member(self, session: AsyncSession, name: str) -> str:
        """Follows the next one in the ring."""
        return await self.follow(session, name)


@dataclass(frozen=True)
class RingOfThree(RingOfTwo):
    """Three members, each following the next."""

    members = 3

    @actor(names=RING[:3])
    async def member(self, session: AsyncSession, name: str) -> str:
        """Follows the next one in the ring."""
        return await self.follow(session, name)


@claim(
    title="A retried victim does all of its work again",
    acid="Atomicity",
    critical="retrying less than the whole transaction loses what came before",
    test="tests/database/test_database_invariants.py::test_retry_after_a_deadlock",
)
@dataclass(frozen=True)
class RetriedRing(RingOfThree):
    """Three members follow in a ring, and whoever is refused runs the whole transaction again: all succeed.

    A second attempt locks both rows in the order of their ids before it counts. Without that, there is a schedule in
    which three requests refuse each other again and again until the last attempt of one is spent.
    """

    async def follow(self, session: AsyncSession, name: str) -> str:
        """Count a follow on both rows, again from the start after a deadlock."""
        member = RING.index(name)
        rows = member, (member + 1) % self.members
        attempts = 0

        async def both() -> str:
            nonlocal attempts
            attempts += 1
            if attempts > 1:
                ordered = select(Counter.id).where(Counter.id.in_(rows)).order_by(Counter.id)
                await session.execute(ordered.with_for_update())
            for row in rows:
                await count_up(session, row)
            return "followed"

        return await retried(session, both)

    @invariant
    async def everybody_succeeds(self, outcome: Outcome) -> None:
        """The retry cures every deadlock."""
        ended = outcome.committed + outcome.in_doubt
        assert len(ended) == self.members, f"only {' and '.join(outcome.committed)} succeeded"


@planted_bug(
    of=RetriedRing,
    token="lab1:scenarios.deadlock:RetryOfTheLastStatement::-:ann.cleo2.ben2.ann3.cleo2.ben2.ann2:vtw6n:o2e354",
    cause="a deadlock rolls the whole transaction back, but only the statement that failed runs again",
    fix="run the whole transaction again",
)
@dataclass(frozen=True)
class RetryOfTheLastStatement(RetriedRing):
    """Repeats the statement that was refused, in a new transaction, and forgets the one before it."""

    async def follow(self, session: AsyncSession, name: str) -> str:
        """Count a follow on both rows; repeat the second alone after a deadlock."""
        member = RING.index(name)
        try:
            async with session.begin():
                await count_up(session, member)
                await count_up(session, (member + 1) % self.members)
        except DBAPIError as error:
            if not is_retryable(error):
                raise
            async with session.begin():
                await count_up(session, (member + 1) % self.members)
        return "followed"


@planted_bug(
    of=RingOfTwo,
    token="lab1:scenarios.deadlock:SwallowedDeadlock::-:ann.ben2.ann2.ben2:3o4c4:f5xd76",
    cause="the handler takes the deadlock for a duplicate, rolls back and reports success, but nothing is written",
    fix="run the whole transaction again, or let the error reach the caller",
)
@dataclass(frozen=True)
class SwallowedDeadlock(RingOfTwo):
    """Swallows the error of the deadlock's victim and reports success."""

    async def follow(self, session: AsyncSession, name: str) -> str:
        """Count a follow, and report success whatever happens."""
        try:
            return await super().follow(session, name)
        except DBAPIError:
            await session.rollback()
            return "followed"


@claim(
    title="Locks taken in one order never deadlock",
    acid="Isolation",
    critical="a deadlock under load is an outage that retries make worse",
    test="tests/database/test_database_invariants.py::test_lock_order",
)
@dataclass(frozen=True)
class OrderedLocks(Scenario):
    """Two orders take the same two articles from stock, written down in opposite order.

    Each sorts its articles before it touches them, so one waits for the other and nobody is refused.
    """

    metadata = Bank.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Two articles."""
        session.add_all([Counter(id=1, value=0), Counter(id=2, value=0)])

    async def order(self, session: AsyncSession, *articles: int) -> None:
        """Count each article as sold, in the order of their ids."""
        async with session.begin():
            for article in sorted(articles):
                await count_up(session, article)

    @actor
    async def alice(self, session: AsyncSession) -> None:
        """Orders article 1, then article 2."""
        await self.order(session, 1, 2)

    @actor
    async def bob(self, session: AsyncSession) -> None:
        """Orders article 2, then article 1."""
        await self.order(session, 2, 1)

    @invariant
    async def nobody_is_refused(self, outcome: Outcome) -> None:
        """Locks that are taken in one order make no cycle."""
        assert not victims(outcome), f"{' and '.join(victims(outcome))} fell victim to a deadlock"

    @invariant
    async def every_success_is_counted_twice(self, session: AsyncSession, outcome: Outcome) -> None:
        """Both articles of each order are counted."""
        assert await total(session) in [2 * len(done) for done in outcome.possible]


@planted_bug(
    of=OrderedLocks,
    token="lab1:scenarios.deadlock:CoreUpdatesInOppositeOrder::-:alice.bob2.alice2.bob2:o6b3q:eawroy",
    cause="each request updates the rows in the order in which its articles came in",
    fix="sort the ids before the first UPDATE",
)
@dataclass(frozen=True)
class CoreUpdatesInOppositeOrder(OrderedLocks):
    """One Core UPDATE with bound parameters an article, in the order of the request."""

    async def order(self, session: AsyncSession, *articles: int) -> None:
        """Count each article as sold, as they come."""
        async with session.begin():
            for article in articles:
                await count_up(session, article)


@planted_bug(
    of=OrderedLocks,
    token="lab1:scenarios.deadlock:OrmUpdatesInOppositeOrder::-:alice.bob3.alice3.bob3:zzstz:qh2c7s",
    cause="one flush would sort its UPDATEs by primary key, but a flush after each article keeps the request's order",
    fix="load all rows FOR UPDATE in the order of their ids before the first change",
)
@dataclass(frozen=True)
class OrmUpdatesInOppositeOrder(OrderedLocks):
    """Locks, changes and flushes one loaded object after the other."""

    async def order(self, session: AsyncSession, *articles: int) -> None:
        """Count each article as sold, one flush an article."""
        async with session.begin():
            for article in articles:
                counter = await session.get_one(Counter, article, with_for_update=True)
                counter.value += 1
                await session.flush()


@planted_bug(
    of=OrderedLocks,
    token="lab1:scenarios.deadlock:AdvisoryLocksInOppositeOrder::-:alice.bob2.alice2.bob4:ytyyc:tcybah",
    cause="advisory locks are real locks: two requests that take them in opposite order wait for each other",
    fix="take advisory locks in the order of their keys",
)
@dataclass(frozen=True)
class AdvisoryLocksInOppositeOrder(OrderedLocks):
    """Guards each article by an advisory lock, taken in the order of the request."""

    async def order(self, session: AsyncSession, *articles: int) -> None:
        """Lock all articles, then count each as sold."""
        async with session.begin():
            for article in articles:
                await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": article})
            for article in sorted(articles):
                await count_up(session, article)


@claim(
    title="Requests for one row stand in line",
    acid="Isolation",
    critical="a share lock that is upgraded refuses customers who only had to wait",
    test="tests/database/test_database_invariants.py::test_line_for_one_row",
)
@dataclass(frozen=True)
class LineForOneRow(Scenario):
    """Three requests lock one row FOR UPDATE, read it and write it back; they stand in line and none is lost."""

    metadata = Bank.metadata

    async def setup(self, session: AsyncSession) -> None:
        """One counter."""
        session.add(Counter(id=1, value=0))

    async def locked(self, session: AsyncSession) -> Counter:
        """The counter, under an exclusive lock."""
        return await session.get_one(Counter, 1, with_for_update=True)

    @actor(names=("first", "second", "third"))
    async def visitor(self, session: AsyncSession) -> int:
        """Takes the next number."""
        async with session.begin():
            counter = await self.locked(session)
            counter.value += 1
            return counter.value

    @invariant
    async def nobody_is_refused(self, outcome: Outcome) -> None:
        """The lock that a request holds is already the one that it needs for writing."""
        assert not victims(outcome), f"{' and '.join(victims(outcome))} fell victim to a deadlock"

    @invariant
    async def every_visitor_gets_its_own_number(self, outcome: Outcome) -> None:
        """The numbers are given out one after the other, each once."""
        numbers = sorted(result.value for result in outcome.results.values() if isinstance(result.value, int))
        highest = len(outcome.committed + outcome.in_doubt)  # a number may be given to somebody who never learns of it
        assert len(set(numbers)) == len(numbers), f"the numbers are {numbers}"
        assert not numbers or numbers[-1] <= highest, f"the numbers are {numbers}"


@planted_bug(
    of=LineForOneRow,
    token="lab1:scenarios.deadlock:ShareToExclusive::-:first3.second.third2.second2.third2:6tjwh:xp5tni",
    cause="several requests share the lock, and each waits for the others to let go before it can write",
    fix="lock FOR UPDATE from the start",
)
@dataclass(frozen=True)
class ShareToExclusive(LineForOneRow):
    """Locks the row FOR SHARE, as others may too, and then writes it, which needs an exclusive lock."""

    async def locked(self, session: AsyncSession) -> Counter:
        """The counter, under a shared lock."""
        return await session.get_one(Counter, 1, with_for_update={"read": True})


@claim(
    title="Bulk updates of the same groups take them in one order",
    acid="Isolation",
    critical="nightly jobs that refuse each other leave half of the prices old",
    test="tests/database/test_database_invariants.py::test_bulk_update_order",
)
@dataclass(frozen=True)
class PriceJobs(Scenario):
    """Two jobs each raise the prices of books and of films, two bulk UPDATEs, the groups in the same order."""

    metadata = Shop.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Two articles in each group."""
        session.add_all(
            Article(id=number, category="books" if number < 3 else "films", price=10) for number in range(1, 5)
        )

    async def raise_prices(self, session: AsyncSession, *categories: str) -> None:
        """Raise the prices of these groups, in the order of their names."""
        await self.raise_in_order(session, *sorted(categories))

    async def raise_in_order(self, session: AsyncSession, *categories: str) -> None:
        """Raise the prices of one group after the other, in one transaction."""
        async with session.begin():
            for category in categories:
                dearer = update(Article).where(Article.category == category).values(price=Article.price + 1)
                await session.execute(dearer)

    @actor
    async def nightly(self, session: AsyncSession) -> None:
        """Raises books and films."""
        await self.raise_prices(session, "books", "films")

    @actor
    async def manual(self, session: AsyncSession) -> None:
        """Raises films and books."""
        await self.raise_prices(session, "films", "books")

    @invariant
    async def nobody_is_refused(self, outcome: Outcome) -> None:
        """Groups that are locked in one order make no cycle."""
        assert not victims(outcome), f"{' and '.join(victims(outcome))} fell victim to a deadlock"

    @invariant
    async def every_price_is_raised_by_every_success(self, session: AsyncSession, outcome: Outcome) -> None:
        """No price is raised by half a job."""
        prices, expected = set(await session.scalars(select(Article.price))), [10 + len(d) for d in outcome.possible]
        assert prices in [{each} for each in expected], f"the prices are {sorted(prices)}, expected {expected[0]}"


@planted_bug(
    of=PriceJobs,
    token="lab1:scenarios.deadlock:PriceJobsInOppositeOrder::-:nightly.manual2.nightly2.manual2:gbhm7:xbk5rg",
    cause="each job locks one whole group and then waits for the group that the other one has locked",
    fix="update the groups in the same order everywhere",
)
@dataclass(frozen=True)
class PriceJobsInOppositeOrder(PriceJobs):
    """Raises the groups in the order in which the job names them."""

    async def raise_prices(self, session: AsyncSession, *categories: str) -> None:
        """Raise the prices of these groups as they come."""
        await self.raise_in_order(session, *categories)


@claim(
    title="Price lists are taken in row after row in one order",
    acid="Isolation",
    critical="two imports that refuse each other leave the shop with last month's prices",
    test="tests/database/test_database_invariants.py::test_bulk_update_from_a_list",
)
@dataclass(frozen=True)
class PriceLists(Scenario):
    """Two suppliers' lists price the same three articles, one bulk UPDATE each; all rows are locked by id before it.

    A single statement locks its rows one by one, too: here in the order of the list that it is given.
    """

    metadata = Shop.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Three articles."""
        session.add_all(Article(id=number, price=10) for number in (1, 2, 3))

    async def lock(self, session: AsyncSession, *articles: int) -> None:
        """Lock these articles in the order of their ids."""
        ordered = select(Article.id).where(Article.id.in_(articles)).order_by(Article.id)
        await session.execute(ordered.with_for_update())

    async def take_in(self, session: AsyncSession, prices: dict[int, int]) -> None:
        """Set all prices of a list with one UPDATE."""
        async with session.begin():
            await self.lock(session, *prices)
            priced = values(column("id", Integer), column("price", Integer), name="priced").data(list(prices.items()))
            await session.execute(update(Article).where(Article.id == priced.c.id).values(price=priced.c.price))

    @actor
    async def grocer(self, session: AsyncSession) -> None:
        """Sends a list that begins with the first article."""
        await self.take_in(session, {1: 11, 2: 11, 3: 11})

    @actor
    async def baker(self, session: AsyncSession) -> None:
        """Sends a list that begins with the last article."""
        await self.take_in(session, {3: 12, 2: 12, 1: 12})

    @invariant
    async def both_lists_are_taken_in(self, outcome: Outcome) -> None:
        """Rows that are locked in one order make no cycle."""
        assert not victims(outcome), f"{' and '.join(victims(outcome))} fell victim to a deadlock"

    @invariant
    async def all_prices_are_of_one_list(self, session: AsyncSession) -> None:
        """A list is taken in as a whole."""
        prices = set(await session.scalars(select(Article.price)))
        assert len(prices) == 1, f"the prices are {sorted(prices)}"


@planted_bug(
    of=PriceLists,
    token="lab1:scenarios.deadlock:PriceListsInOrderOfTheFile::-:pause2@grocer.baker.grocer2.baker2:nw4nr:dprl5o",
    cause="one UPDATE locks its rows one by one in the order of its list, so two of them can meet half-way",
    fix="lock the rows with SELECT ... ORDER BY id FOR UPDATE first",
)
@dataclass(frozen=True)
class PriceListsInOrderOfTheFile(PriceLists):
    """Updates the articles as the lists come, and trusts that a single statement is safe."""

    async def lock(self, session: AsyncSession, *articles: int) -> None:
        """Lock nothing beforehand."""
