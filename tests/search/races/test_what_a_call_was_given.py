"""What a test gave to an action is given again, or it is said that it cannot be."""

import asyncio
import io
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any
from unittest.mock import AsyncMock
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from lab.search.races.actions import Action
from lab.search.races.calls import call_of, told
from lab.search.races.given import Again
from lab.search.races.keeping import kept
from lab.search.races.spelling import Spelling, Unspelled

ENGINE = create_async_engine("postgresql+asyncpg://nobody@nowhere/none")


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Colour(Enum):
    RED = 1


@dataclass(frozen=True)
class Work:
    session: Any
    lines: list[str]


class Repository:
    def __init__(self, session):
        self.session = session


class Service:
    def __init__(self, session, cache):
        self.items, self.users, self.cache = Repository(session), Repository(session), cache
        self.items.of = self

    async def sell(self, *things):
        return things


class Order(BaseModel):
    item: int
    colour: Colour


async def again(value, opened=(), **how):
    given, own = kept(value, **how), Again(ENGINE)
    own.opened.update(opened)
    return await given.make(own)


async def test_plain_values_are_copied_at_the_call_and_for_each_actor():
    lines = ["a"]
    given = kept(lines)
    lines.append("b")
    one, other = await given.make(Again(ENGINE)), await given.make(Again(ENGINE))
    assert one == other == ["a"]
    assert one is not other


async def test_a_session_is_replaced_wherever_it_lies():
    session, own = AsyncSession(ENGINE), object()
    opened = {id(session): own}
    assert (await again(session, opened)) is own
    assert (await again([1, {"in": session}], opened)) == [1, {"in": own}]
    assert (await again(Work(session, ["a"]), opened)) == Work(own, ["a"])


async def test_a_service_is_copied_as_far_as_its_session_lies_in_it_and_keeps_the_rest():
    session, own, cache = AsyncSession(ENGINE), object(), {"a": 1}
    service = Service(session, cache)
    made = await again(service, {id(session): own}, receiver=True)
    assert (made.items.session, made.users.session, service.items.session) == (own, own, session)
    assert made is made.items.of
    assert made.cache is cache
    lock = Repository(asyncio.Lock())
    assert (await again(lock, receiver=True)) is lock


async def test_a_session_is_opened_as_the_one_of_the_test_but_on_the_engine_behind_a_connection(server):
    engine = create_async_engine(f"postgresql+asyncpg://postgres@/postgres?host={server.folder / 's'}")
    async with engine.connect() as connection:
        own = kept(AsyncSession(connection, expire_on_commit=False, autoflush=False)).open()
        assert own.get_bind() is engine.sync_engine
        assert (own.sync_session.expire_on_commit, own.sync_session.autoflush) == (False, False)
        maker = async_sessionmaker(connection, expire_on_commit=False, join_transaction_mode="create_savepoint")
        made = await again(maker)
        assert made().get_bind() is engine.sync_engine
        assert (made.kw["expire_on_commit"], "join_transaction_mode" in made.kw) == (False, False)
    assert (await again(engine)) is engine
    await engine.dispose()


async def test_a_connection_is_in_a_transaction_where_its_caller_had_begun_one(server):
    engine = create_async_engine(f"postgresql+asyncpg://postgres@/postgres?host={server.folder / 's'}")
    async with engine.connect() as connection, engine.connect() as own:
        await again(connection, {id(connection): own})
        assert not own.in_transaction()
        await connection.begin()
        assert (await again(connection, {id(connection): own})) is own
        assert own.in_transaction()
    await engine.dispose()


async def test_a_new_object_of_a_table_is_made_again():
    item = Item(name="book")
    made = await again(item)
    assert made is not item
    assert (made.name, made.id) == ("book", None)


def closing(session):
    async def close():
        await session.close()

    return close


@pytest.mark.parametrize(
    "value",
    [
        asyncio.Lock(),
        AsyncMock(),
        io.BytesIO(),
        (each for each in "ab"),
        Session(),
        closing(AsyncSession(ENGINE)),
        [io.BytesIO()],
    ],
    ids=["lock", "mock", "file", "generator", "session", "closure", "inside"],
)
def test_what_can_exist_only_once_is_named(value):
    service = Service(None, {})
    call = call_of("test_it", Action(service, "sell", service.sell), ("a", value), {})
    assert call.trouble == "argument `things` of Service.sell() cannot be given twice"
    assert call.once == call.trouble


def test_a_session_with_changes_that_were_not_flushed_is_named():
    session = AsyncSession(ENGINE)
    session.add(Item(name="book"))
    service = Service(session, {})
    call = call_of("test_it", Action(service, "sell", service.sell), (), {})
    assert call.trouble == (
        "Service.sell() cannot be called twice: the session had changes that were not flushed; flush or commit before"
    )


def test_ids_that_an_answer_tells_are_known():
    assert told(Item(id=7, name="book")) == {"7"}
    assert told([Order(item=3, colour=Colour.RED), {"order_id": 4, "left": 5}]) == {"4"}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [1, 2.5, True, "it's", b"x"],
        ((), (1,), {"a": {1, 2}}, frozenset(), set()),
        [Decimal("1.50"), date(2026, 1, 2), UUID(int=3)],
    ],
)
def test_values_are_written_as_code_that_makes_them(value):
    spelling = Spelling()
    text = spelling.of(value)
    known = {each: __import__(each) for each in spelling.modules}
    assert eval(text, known) == value  # what a written file would do


def test_classes_of_tests_are_in_no_written_scenario():
    with pytest.raises(Unspelled, match="Order is defined in a test"):
        Spelling().of(Order(item=1, colour=Colour.RED))
    with pytest.raises(Unspelled, match="a value of object cannot be written as code"):
        Spelling().of(object())
