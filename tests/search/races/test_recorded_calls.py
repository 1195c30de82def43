"""What is known of a call when it was recorded."""

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import lab
from lab.engine.replaced import replaced
from lab.search.races.actions import Actions
from lab.search.races.recording import Recorder


class Base(DeclarativeBase):
    pass


class Point(Base):
    __tablename__ = "point"
    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(default=0)


class Points:
    def __init__(self, session):
        self.session = session

    async def add(self, n):
        self.session.add(point := Point(n=n))
        return point

    async def save(self, n):
        await self.add(n)
        await self.session.commit()

    async def save_in_part(self, n):
        async with self.session.begin_nested():
            await self.add(n)

    async def look(self):
        found = (await self.session.scalars(select(Point))).all()
        if not found:
            raise LookupError("no points")
        return found

    async def by(self, other):
        return await other.look()


@pytest.fixture
async def recorded(server):
    """A service and the recording of what is called; its table is made anew."""
    recorder = Recorder(server)
    engine = create_async_engine("postgresql+asyncpg://nobody@nowhere/points")
    with replaced(Actions, "wanted", True), recorder.on():
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        with recorder.test("test_it") as recording:
            async with AsyncSession(engine, expire_on_commit=False) as session:
                yield lab.actions(Points(session)), recording.sent
        await engine.dispose()
    recorder.close()


async def test_a_call_has_its_arguments_the_state_before_it_its_tables_and_its_answer(recorded):
    points, sent = recorded
    await points.add(3)
    await points.session.commit()
    await points.look()
    add, look = sent
    assert (add.title, add.name, add.body, add.number) == ("Points.add", "add", "3", 1)
    assert "INSERT INTO" not in add.state.script
    assert "INSERT INTO public.point" in look.state.script
    assert (add.touched.written, look.touched.written) == ({"point"}, set())
    assert look.touched.read == {"point"}
    assert look.answer == "[Point(id=1, n=3)]"
    assert look.learnt == {"1"}


async def test_an_error_is_an_answer(recorded):
    points, sent = recorded
    with pytest.raises(LookupError):
        await points.look()
    assert [(each.raised, each.error, each.refused, each.assumes) for each in sent] == [
        ("LookupError", "LookupError: no points", True, "")
    ]


async def test_who_commits_itself_is_known_and_a_savepoint_is_no_commit(recorded):
    points, sent = recorded
    await points.save(1)
    await points.save_in_part(2)
    await points.session.commit()
    assert [each.assumes for each in sent] == [
        "",
        "what Points.save_in_part leaves in its session is committed behind it, in a transaction of its own",
    ]


async def test_what_an_action_calls_is_part_of_it(recorded):
    points, sent = recorded
    await points.save(1)
    await lab.actions(Points(None)).by(points)
    assert [each.title for each in sent] == ["Points.save", "Points.by"]
    assert sent[1].touched.read == {"point"}


async def test_what_was_not_flushed_is_part_of_the_state_before(recorded):
    points, sent = recorded
    await points.add(5)
    await points.look()
    assert [each.trouble for each in sent] == ["", ""]
    assert sent[1].state.uncommitted
    assert "'5'" in sent[1].state.script


async def test_a_session_that_does_not_flush_by_itself_is_named(recorded):
    points, sent = recorded
    points.session.sync_session.autoflush = False
    points.session.add(Point(n=1))
    with pytest.raises(LookupError):
        await points.look()
    ((call),) = sent
    assert call.once == (
        "Points.look() cannot be called twice: the session had changes that were not flushed; flush or commit before"
    )
