"""Tests that send no HTTP, but call coroutine functions of a service: their calls are raced as requests are."""

import json
import os
import re
import subprocess
import sys

import pytest

from lab.search.races.accepted import Accepted
from lab.search.races.actions import Action
from lab.search.races.calls import call_of
from lab.search.races.findings import Raced, Standing
from lab.search.races.pairs import Kind, Pair

SERVICE = """
from fastapi import FastAPI, HTTPException
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Coupon(Base):
    __tablename__ = "coupon"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    left: Mapped[int]


class UsedUp(Exception):
    pass


engine = create_async_engine("postgresql+asyncpg://shop:secret@db.internal/shop")
Session = async_sessionmaker(engine, expire_on_commit=False)


async def find(session: AsyncSession, code: str) -> Coupon:
    found = select(Coupon).where(Coupon.code == code)  # LOCK
    return (await session.scalars(found)).one()


async def redeem(session: AsyncSession, code: str) -> int:
    coupon = await find(session, code)
    if not coupon.left:
        raise UsedUp(code)
    coupon.left -= 1
    return coupon.left


async def fill(maker, clock, *, by: int = 1) -> None:
    async with maker.begin() as session:
        for coupon in await session.scalars(select(Coupon)):
            coupon.left = coupon.left + by  # in fill


async def safely(engine) -> None:
    async with engine.begin() as connection:
        await connection.execute(update(Coupon).values(left=Coupon.left + 1))


class Coupons:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def issue(self, code: str, left: int) -> Coupon:
        if await self.session.scalar(select(Coupon).where(Coupon.code == code)):
            raise UsedUp(code)
        coupon = Coupon(code=code, left=left)
        self.session.add(coupon)
        await self.session.commit()  # in issue
        return coupon

    async def take(self, coupon: Coupon) -> int:
        coupon.left -= 1
        await self.session.flush()  # in take
        return coupon.left


app = FastAPI()


@app.post("/coupons/{code}")
async def use(code: str) -> int:
    async with Session.begin() as session:
        try:
            return await redeem(session, code)
        except UsedUp:
            raise HTTPException(409) from None
"""
CONFTEST = """
import pytest
from service import Base, Session, engine


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
async def tables(anyio_backend):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()
"""
FUNCTION = """
import lab
import pytest
import service
from service import Coupon, Session

coupons = lab.actions(service)
pytestmark = pytest.mark.anyio


async def test_a_coupon_is_used_once():
    async with Session.begin() as session:
        session.add(Coupon(code="SAVE", left=1))
    async with Session.begin() as session:
        assert await coupons.redeem(session, "SAVE") == 0
    async with Session() as session:
        with pytest.raises(coupons.UsedUp):
            await coupons.redeem(session, code="SAVE")


@pytest.fixture(scope="module")
def makes():
    return lab.actions(service.Coupons)


async def test_a_code_is_issued_once(makes):
    async with Session() as session:
        coupon = await makes(session).issue("NEW", 3)
        with pytest.raises(coupons.UsedUp):
            await makes(session).issue("NEW", 3)
    assert coupon.left == 3
"""
FORMS = """
import threading
import lab
import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession
from service import Coupon, Coupons, Session, app, engine, fill, redeem, safely

pytestmark = pytest.mark.anyio


async def test_of_an_instance_in_a_transaction_that_is_rolled_back():
    async with engine.connect() as connection:
        transaction = await connection.begin()
        session = AsyncSession(connection, expire_on_commit=False, join_transaction_mode="create_savepoint")
        async with session:
            session.add(Coupon(code="ROLLED", left=2))
            await session.commit()
            coupon = await session.get_one(Coupon, 1)
            assert await lab.actions(Coupons(session)).take(coupon) == 1
        await transaction.rollback()


async def test_of_a_function_with_a_factory():
    async with Session.begin() as session:
        session.add(Coupon(code="FULL", left=0))
    await lab.actions(fill)(Session, print, by=2)
    await lab.actions(safely)(engine)
    await lab.actions(fill)(Session, threading.Lock())


async def test_of_a_request_and_a_call():
    async with Session.begin() as session:
        session.add(Coupon(code="BOTH", left=1))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        async with Session.begin() as session:
            await lab.actions(redeem)(session, "BOTH")
        assert (await client.post("/coupons/BOTH")).status_code == 409
"""


def env():
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "LAB_"))}


def raced(folder, *more):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--lab-races", "--lab-races-json=races.json"]
    done = subprocess.run([*command, *more], cwd=folder, env=env(), capture_output=True, text=True, check=False)
    return done, json.loads((folder / "races.json").read_text())


def hunted(folder, target):
    command = [sys.executable, "-m", "lab.cli", "hunt", target, "--no-remedies", "--no-fresh"]
    return subprocess.run(command, cwd=folder, env=env(), capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    return tmp_path


def line_of(words):
    return f"service.py:{next(n for n, line in enumerate(SERVICE.splitlines(), 1) if words in line)}"


def races(data):
    return {tuple(each["pairs"][0]["requests"]): (each["cause"], each["line"]) for each in data["races"]}


def test_races_of_calls_are_found_and_written_and_gone_when_they_are_mended(project):
    """What `redeem` leaves is written by the COMMIT of its caller; `issue` commits itself."""
    (project / "test_coupons.py").write_text(FUNCTION)
    done, data = raced(project, "--lab-races-write=races")
    assert done.returncode == 1, done.stdout
    assert races(data) == {
        ("redeem", "redeem"): ("read-modify-write", line_of(").one()")),
        ("Coupons.issue", "Coupons.issue"): ("check-then-insert", line_of("# in issue")),
    }, done.stdout
    assert "2 tests made 4 calls; 2 races in 3 pairs" in done.stdout
    assert "redeem returned 0; after other_redeem, then redeem, it returned the error UsedUp: SAVE" in done.stdout
    assert data["assumed"] == ["what redeem leaves in its session is committed behind it, in a transaction of its own"]
    assert re.search("^Assumed:\n  what redeem leaves", done.stdout, re.MULTILINE)
    targets = "races.race_redeem_other_redeem:RedeemOtherRedeem", "races.race_issue_other_issue:IssueOtherIssue"
    for target in targets:
        assert f"lab hunt {target}" in done.stdout
        assert hunted(project, target).returncode == 1
    (project / "service.py").write_text(SERVICE.replace("== code)  # LOCK", "== code).with_for_update()"))
    done = hunted(project, targets[0])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_races_are_found_whatever_the_service_is_and_whatever_it_is_given(project):
    (project / "test_forms.py").write_text(FORMS)
    done, data = raced(project, "--lab-races-write=races")
    assert "3 passed" in done.stdout, done.stdout
    assert races(data) == {
        ("Coupons.take", "Coupons.take"): ("read-modify-write", line_of("# in take")),
        ("fill", "fill"): ("read-modify-write", line_of("maker.begin")),
        ("redeem", "redeem"): ("read-modify-write", line_of(").one()")),
        ("redeem", "POST /coupons/BOTH"): ("read-modify-write", line_of("Session.begin()")),
    }, done.stdout
    assert [each["standing"] for each in data["pairs"] if each["requests"] == ["safely", "safely"]] == ["safe"]
    assert {each["why"] for each in data["not_raced"]} == {
        "both only read",
        "argument `clock` of fill() cannot be given twice",
    }
    assert "how Coupons was made is not known; give lab.actions the class, so no scenario is written" in done.stdout
    for each in ("fill_other_fill:FillOtherFill", "redeem_both:RedeemBoth"):
        assert hunted(project, f"races.race_{each}").returncode == 1


def test_the_title_of_a_call_names_it_where_its_race_is_accepted():
    pair = Pair(Kind.TWICE, *[call_of("test_it", Action(None, "redeem", raced), (), {})] * 2)
    one, other = (Accepted("nobody has two phones", (each,)) for each in ("redeem", "redeem_all"))
    assert one.covers(Raced(pair, Standing.RACY, ""))
    assert not other.covers(Raced(pair, Standing.RACY, ""))
