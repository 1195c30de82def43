"""`--faults`: faults beside those that a scenario lists; the verdict names them, and the token replays without them."""

from __future__ import annotations

import pytest
from helpers.lab_program import answer, lab

RACES = """
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from lab import Scenario, actor, invariant

class Base(DeclarativeBase):
    pass

class Payment(Base):
    __tablename__ = "payment"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]

class Capture(Scenario):
    metadata = Base.metadata

    async def setup(self, session):
        session.add(Payment(id=1, state="authorised"))

    @actor
    async def worker(self, session):
        payment = await session.get_one(Payment, 1)
        payment.state = "capturing"
        await session.commit()
        payment.state = "captured"
        await session.commit()

    @actor
    async def reader(self, session):
        await session.get_one(Payment, 1)

    @invariant
    async def nothing_hangs_in_between(self, session):
        assert (await session.get_one(Payment, 1)).state != "capturing"
"""
FEW = ("--scheduler", "random", "--executions", "40", "--no-remedies", "--no-fresh", "--no-keep", "--json")


@pytest.fixture
def races(tmp_path):
    (tmp_path / "races.py").write_text(RACES)
    return tmp_path


def test_a_hunt_says_which_faults_could_strike_and_its_token_replays_alone(races):
    calm = lab("hunt", "races:Capture", *FEW, cwd=races)
    assert (calm.returncode, answer(calm)["faults"]) == (0, [])
    done = lab("hunt", "races:Capture", "--faults", "cancel,kill", "--faults-at-most", "2", *FEW, cwd=races)
    found = answer(done)
    assert (done.returncode, found["faults"], found["faults_at_most"]) == (1, ["cancel", "kill"], 2)
    (failure,) = found["failures"]
    assert failure["preemptions"] == 0
    again = lab("replay", failure["token"], "--times", "3", "--json", cwd=races)
    assert (again.returncode, answer(again)["identical"]) == (1, 3), again.stderr


def test_the_verdict_names_them(races):
    said = lab("hunt", "races:Capture", *FEW[:-1], "--faults", "kill", cwd=races).stdout
    assert "\nfaults: kill; at most 1 in an execution" in said
    assert "faults:" not in lab("hunt", "races:Capture", *FEW[:-1], cwd=races).stdout


def test_a_matrix_has_them_at_each_level(races):
    done = lab("matrix", "races:Capture", "--faults", "kill", "--executions", "30", "--json", cwd=races)
    found = answer(done)
    assert (done.returncode, found["faults"]) == (1, ["kill"])
    assert {level["verdict"] for level in found["levels"]} == {"fail"}


def test_a_hunt_with_workers_has_them(races):
    done = lab("hunt", "races:Capture", "--faults", "kill", "--workers", "2", *FEW, cwd=races)
    assert done.returncode == 1, done.stderr
