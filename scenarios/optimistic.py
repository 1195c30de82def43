"""Optimistic locking: an edit made from a stale version is refused, as by a 409, and no edit is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Document, Note, Work

__all__ = [
    "BlindUpdateAfterTheComparison",
    "ConflictError",
    "DocumentEdits",
    "NoVersionCheck",
    "OnlyOlderVersionsConflict",
]

Sessions = Callable[[], AsyncSession]


class ConflictError(Exception):
    """The document has changed since the editor loaded it: a web application answers 409."""


@claim(
    title="A stale version is refused",
    acid="Isolation",
    critical="without it the last to save silently overwrites the others' work",
    test="tests/database/test_database_invariants.py::test_optimistic_locking",
)
@dataclass(frozen=True)
class DocumentEdits(Scenario):
    """Three editors load a document at version 3, add a letter each, and save.

    The version that an editor loaded must be the one that is stored; the ORM's version counter catches whoever saves
    between that comparison and the UPDATE.
    """

    version: int = 3

    metadata = Work.metadata
    allows = (ConflictError,)

    async def setup(self, session: AsyncSession) -> None:
        """One document, at its version."""
        await session.execute(insert(Document).values(id=1, text="", version=self.version))

    async def load(self, session: AsyncSession) -> tuple[int, str]:
        """What the editor sees: version and text."""
        document = await session.get_one(Document, 1)
        return document.version, document.text

    async def save(self, session: AsyncSession, version: int, text: str) -> None:
        """Replace the text, if `version` is still the stored one."""
        document = await session.get_one(Document, 1)
        if document.version != version:
            raise ConflictError(f"version {version} is stale, {document.version} is stored")
        document.text = text

    async def stored_text(self, session: AsyncSession) -> str:
        """The text in the end."""
        return (await session.scalars(select(Document.text))).one()

    @actor(names=("a", "b", "c"))
    async def editor(self, sessions: async_sessionmaker[AsyncSession], name: str) -> None:
        """Loads the document in one request and saves it, with a letter more, in the next."""
        async with sessions() as session:
            version, text = await self.load(session)
        async with sessions.begin() as session:
            await self.save(session, version, text + name)

    @invariant
    async def no_edit_is_lost(self, session: AsyncSession, outcome: Outcome) -> None:
        """The text holds the letter of every editor whose save succeeded."""
        text = await self.stored_text(session)
        lost = [name for name in outcome.committed if name not in text]
        assert not lost, f"the text is {text!r}: the edit of {' and '.join(lost)} is lost"


@planted_bug(
    of=DocumentEdits,
    token="lab1:scenarios.optimistic:OnlyOlderVersionsConflict::-:a.b5.c5.a4:olkrd:wsh22c",
    cause="the comparison asks for < where it means !=, so an older version, 3 against 5, passes for good",
    fix="refuse every version that is not the stored one",
)
@dataclass(frozen=True)
class OnlyOlderVersionsConflict(DocumentEdits):
    """Refuses if the stored version is less than the editor's, which it never is."""

    async def save(self, session: AsyncSession, version: int, text: str) -> None:
        """Replace the text, unless the stored version is older."""
        document = await session.get_one(Document, 1)
        if document.version < version:
            raise ConflictError(f"version {version} is stale, {document.version} is stored")
        document.text = text


@planted_bug(
    of=DocumentEdits,
    token="lab1:scenarios.optimistic:NoVersionCheck::-:a5.b3.c5.b2:vvo4t:5ibdip",
    cause="nothing compares versions, so the last editor to save overwrites whatever came in since it loaded",
    fix="give the table a version column, send it to the editor and compare it on saving",
)
@dataclass(frozen=True)
class NoVersionCheck(DocumentEdits):
    """A document without a version: the last save wins."""

    async def setup(self, session: AsyncSession) -> None:
        """One note."""
        session.add(Note(id=1, text=""))

    async def load(self, session: AsyncSession) -> tuple[int, str]:
        """The text; there is no version."""
        return 0, (await session.get_one(Note, 1)).text

    async def save(self, session: AsyncSession, version: int, text: str) -> None:
        """Replace the text."""
        note = await session.get_one(Note, 1)
        note.text = text

    async def stored_text(self, session: AsyncSession) -> str:
        """The text in the end."""
        return (await session.scalars(select(Note.text))).one()


@planted_bug(
    of=DocumentEdits,
    token="lab1:scenarios.optimistic:BlindUpdateAfterTheComparison::-:a3.b5.c5.a2:773ag:ct7hzd",
    cause="the version is compared in Python and the UPDATE that follows does not mention it, so both editors pass",
    fix="put the version into the UPDATE's WHERE and check the row count, which version_id_col does",
)
@dataclass(frozen=True)
class BlindUpdateAfterTheComparison(DocumentEdits):
    """Compares the version, then updates the row whatever its version is by now."""

    async def save(self, session: AsyncSession, version: int, text: str) -> None:
        """Replace the text, if `version` was the stored one a moment ago."""
        stored = (await session.scalars(select(Document.version))).one()
        if stored != version:
            raise ConflictError(f"version {version} is stale, {stored} is stored")
        await session.execute(update(Document).where(Document.id == 1).values(text=text, version=version + 1))
