"""Savepoints: work that was rolled back to a savepoint was not done, and must not be counted."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Article, Shop

__all__ = ["CountedBeforeItIsKept", "Import"]


@claim(
    title="What a savepoint rolled back is not counted",
    acid="Atomicity",
    critical="a report of work that was not done",
    test="tests/database/test_database_invariants.py::test_savepoint_work_is_not_counted",
)
@dataclass(frozen=True)
class Import(Scenario):
    """Two imports share an article; each keeps what it can and says how many articles it brought.

    An article is counted after its savepoint was released, so one that the other import brought is not.
    """

    metadata = Shop.metadata

    async def load(self, session: AsyncSession, *articles: int) -> int:
        """Import the articles that are not known yet; returns how many."""
        imported: list[int] = []
        async with session.begin():
            known = set(await session.scalars(select(Article.id)))
            for article in articles:
                if article not in known:
                    with contextlib.suppress(IntegrityError):  # the other import was first
                        await self.keep(session, article, imported)
        return len(imported)

    async def keep(self, session: AsyncSession, article: int, imported: list[int]) -> None:
        """Insert one article under a savepoint and note it."""
        async with session.begin_nested():
            session.add(Article(id=article))
        imported.append(article)

    @actor
    async def north(self, session: AsyncSession) -> int:
        """Imports articles 1 and 2."""
        return await self.load(session, 1, 2)

    @actor
    async def south(self, session: AsyncSession) -> int:
        """Imports articles 3 and 2."""
        return await self.load(session, 3, 2)

    @invariant
    async def every_article_is_counted_once(self, session: AsyncSession, outcome: Outcome) -> None:
        """The imports report as many articles as there are."""
        reported = sum(result.value for result in outcome.results.values() if isinstance(result.value, int))
        stored = await session.scalar(select(func.count(Article.id))) or 0
        right = reported <= stored if outcome.in_doubt else reported == stored
        assert right, f"the imports report {reported} articles, {stored} are stored"


@planted_bug(
    of=Import,
    token="lab1:scenarios.savepoint:CountedBeforeItIsKept::-:north5.south8.north3:stvzd:gfkidz",
    cause="an article is counted inside its savepoint, and stays counted when the savepoint is rolled back",
    fix="count it after the savepoint was released",
)
@dataclass(frozen=True)
class CountedBeforeItIsKept(Import):
    """Notes the article inside the savepoint's block, before its INSERT is flushed."""

    async def keep(self, session: AsyncSession, article: int, imported: list[int]) -> None:
        """Note one article and insert it under a savepoint."""
        async with session.begin_nested():
            session.add(Article(id=article))
            imported.append(article)
