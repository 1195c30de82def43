"""Which steps count as dependent, rule by rule; what a real server says to it is in `test_reduction`."""

from __future__ import annotations

import pytest
from helpers.decided import step_of

from lab.analysis.dependence import ANY_TABLE, Move, dependent, scanned_tables
from lab.analysis.happens_before import HappensBefore
from lab.model.decision import Go
from lab.model.footprint import Access, Deferred, Footprint, Lock, Rows
from lab.model.trace import Action, ActionKind, LockWait, Result, Step

RC, RR, SER = "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"


def row(number: int | None) -> Rows:
    return Rows("account", () if number is None else (("id", frozenset({f"int:{number}"})),))


def read(number: int | None, *, scans: bool = False) -> Access:
    return Access(row(number), reads=True, scans=scans)


def write(number: int | None) -> Access:
    return Access(row(number), Lock.NO_KEY_UPDATE, reads=True, writes=True)


def statement(*accesses: Access, actor: str = "ann", level: str = RC, first: bool = False, **how: bool) -> Move:
    return Move(actor, ActionKind.STATEMENT, Footprint(accesses, level=level, snapshot=first), **how)


def commit(*held: Access, actor: str = "ben", level: str = RC) -> Move:
    return Move(actor, ActionKind.COMMIT, Footprint(held=held, level=level))


def rollback(*held: Access) -> Move:
    return Move("ben", ActionKind.ROLLBACK, Footprint(held=held, level=RC))


def by(actor: str, move: Move) -> Move:
    return Move(actor, move.kind, move.footprint, move.waited, move.failed)


CASES = {
    "two reads": (statement(read(1)), by("ben", statement(read(1))), False),
    "two writes of one row": (statement(write(1)), by("ben", statement(write(1))), True),
    "two writes of two rows": (statement(write(1)), by("ben", statement(write(2))), False),
    "a write of all rows": (statement(write(None)), by("ben", statement(write(2))), True),
    "a plain read and an uncommitted write": (statement(read(1)), by("ben", statement(write(1))), False),
    "a read and the commit of what it reads": (statement(read(1)), commit(write(1)), True),
    "a read and the commit of another row": (statement(read(1)), commit(write(2)), False),
    "a read and a rollback": (statement(read(1)), rollback(write(1)), False),
    "a write and the rollback that frees its row": (statement(write(1)), rollback(write(1)), True),
    "a write and a savepoint's release of its row": (
        statement(write(1)),
        Move("ben", ActionKind.RELEASE, Footprint(held=(write(1),))),
        True,
    ),
    "a snapshot and a savepoint's release": (
        statement(read(1), level=RR, first=True),
        Move("ben", ActionKind.RELEASE, Footprint(held=(write(1),), level=RR, snapshot=True)),
        False,
    ),
    "a write and the rollback of another row": (statement(write(1)), rollback(write(2)), False),
    "a snapshot and any commit that wrote": (statement(read(1), level=RR, first=True), commit(write(2)), True),
    "a snapshot and a commit that only read": (statement(read(1), level=RR, first=True), commit(read(1)), False),
    "a later read of the same snapshot": (statement(read(1), level=RR), commit(write(1)), False),
    "a later write of the same snapshot": (statement(write(1), level=RR), commit(write(1)), True),
    "two commits that wrote": (commit(write(1)), commit(write(2), actor="cat"), True),
    "two commits that only read": (commit(read(1)), commit(read(1), actor="cat"), False),
    "serializable: a read and an uncommitted write": (
        statement(read(1), level=SER),
        by("ben", statement(write(1), level=SER)),
        True,
    ),
    "serializable: a read and the commit of another row": (
        statement(read(1), level=SER),
        commit(write(2), level=SER),
        True,
    ),
    "serializable beside read committed": (statement(read(1), level=SER), by("ben", statement(write(1))), False),
    "a wait and a lock elsewhere": (statement(write(1), waited=True), by("ben", statement(write(2))), True),
    "a wait and a plain read": (statement(write(1), waited=True), by("ben", statement(read(2))), False),
    "an error frees the locks": (
        Move("ben", ActionKind.STATEMENT, Footprint((write(2),), held=(write(1),)), failed=True),
        statement(write(1)),
        True,
    ),
    "one actor and her task": (statement(read(1)), by("ann/1", statement(read(2))), True),
    "what is not understood": (Move.of("ben", Action(ActionKind.STATEMENT, "x")), statement(read(1)), True),
    "a point": (Move.of("ben", Action(ActionKind.POINT, "x")), statement(read(1)), True),
    "a savepoint": (Move.of("ben", Action(ActionKind.SAVEPOINT, "x")), statement(write(1)), False),
}


@pytest.mark.parametrize("name", CASES)
def test_dependence_is_what_postgresql_documents_and_symmetric(name):
    one, other, expected = CASES[name]
    assert dependent(one, other) is expected
    assert dependent(other, one) is expected


LOCKS = {
    (Lock.KEY_SHARE, Lock.KEY_SHARE): False,
    (Lock.KEY_SHARE, Lock.SHARE): False,
    (Lock.KEY_SHARE, Lock.NO_KEY_UPDATE): False,
    (Lock.KEY_SHARE, Lock.UPDATE): True,
    (Lock.SHARE, Lock.SHARE): False,
    (Lock.SHARE, Lock.NO_KEY_UPDATE): True,
    (Lock.SHARE, Lock.UPDATE): True,
    (Lock.NO_KEY_UPDATE, Lock.NO_KEY_UPDATE): True,
    (Lock.NO_KEY_UPDATE, Lock.UPDATE): True,
    (Lock.UPDATE, Lock.UPDATE): True,
    (Lock.NONE, Lock.UPDATE): False,
}
"""PostgreSQL's documentation, chapter "Explicit Locking", conflicting row-level locks."""


@pytest.mark.parametrize(("one", "other"), LOCKS)
def test_row_locks_clash_as_documented(one, other):
    assert one.clashes(other) is LOCKS[one, other]
    assert other.clashes(one) is LOCKS[one, other]


def rows(**key: object) -> Rows:
    return Rows("t", tuple(sorted((column, frozenset(str(value).split("|"))) for column, value in key.items())))


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (rows(), rows(id="int:1"), True),
        (rows(id="int:1"), rows(id="int:2"), False),
        (rows(id="int:1"), rows(id="str:1"), True),
        (rows(id="int:1"), rows(name="str:a"), True),
        (rows(id="int:1|int:2"), rows(id="int:2|int:3"), True),
        (rows(id="int:1|int:2"), rows(id="int:3"), False),
        (rows(id="int:1", name="str:a"), rows(id="int:1", name="str:b"), False),
        (Rows("t"), Rows("u"), False),
    ],
)
def test_rows_meet_unless_a_common_column_keeps_them_apart(one, other, meet):
    assert one.meet(other) is meet
    assert other.meet(one) is meet


def test_the_order_of_writes_counts_on_tables_that_somebody_scans():
    one, other = statement(write(1)), by("ben", statement(write(2)))
    assert not dependent(one, other)
    scanned = scanned_tables([statement(read(None, scans=True))])
    assert scanned == {"account"}
    assert dependent(one, other, scanned)
    assert not dependent(one, other, {"elsewhere"})
    assert scanned_tables([Move.of("ann", Action(ActionKind.STATEMENT, "SELECT nobody_knows()"))]) == {ANY_TABLE}
    assert dependent(one, other, {ANY_TABLE})


def test_the_order_of_locks_that_agree_counts_where_a_third_waits():
    """It waits for the first of them first, so who closes a circle of waits depends on who that is."""
    shares, changes = statement(Access(row(1), Lock.KEY_SHARE)), by("cat", statement(write(1)))
    deletes = statement(Access(row(1), Lock.UPDATE, reads=True, writes=True), actor="ben", waited=True)
    assert not dependent(shares, changes)
    waits = scanned_tables(iter([shares, changes, deletes]))
    assert dependent(shares, changes, waits)
    assert not dependent(shares, by("cat", statement(write(2))), waits)
    assert not dependent(shares, changes, scanned_tables([shares, by("ben", changes), deletes])), "two actors"
    fails = statement(Access(row(1), Lock.UPDATE, reads=True, writes=True), actor="ben", failed=True)
    assert dependent(shares, changes, scanned_tables([shares, changes, fails])), "it may have closed a circle at once"
    unknown = Move("ben", ActionKind.STATEMENT, Footprint(everything=True), waited=True)
    assert dependent(shares, changes, scanned_tables([shares, changes, unknown]))


def steps(*moves: tuple[str, tuple[str, ...], Footprint]) -> list[Step]:
    return [
        step_of(
            number + 1,
            actor,
            alternatives,
            Action(ActionKind.STATEMENT, touches=Deferred.known(footprint)),
        )
        for number, (actor, alternatives, footprint) in enumerate(moves)
    ]


def test_steps_stand_in_the_order_that_dependence_and_enabling_ask_for():
    """ann and cat write row 1, ben row 2; dan could only be chosen after ben's step."""
    everybody = ("ann", "ben", "cat")
    order = HappensBefore(
        steps(
            ("ann", everybody, Footprint((write(1),))),
            ("ben", everybody, Footprint((write(2),))),
            ("cat", (*everybody, "dan"), Footprint((write(1),))),
            ("dan", (*everybody, "dan"), Footprint((read(9),))),
        )
    )
    before = {(i, j) for j in range(4) for i in range(j) if order.before(i, j)}
    assert before == {(0, 2), (1, 3)}
    assert order.races == [(0, 2)], "what enabled a step is no race with it"
    assert list(order.initials(0, 2)) == [Go("ben"), Go("cat")]
    assert order.levels() == ((0, 1), (2, 3))


def test_a_step_that_waited_or_failed_is_known_by_its_trace():
    wait = step_of(1, "ann", ("ann",), Action(ActionKind.STATEMENT), wait=LockWait(("ben",)))
    failed = step_of(1, "ann", ("ann",), Action(ActionKind.STATEMENT), result=Result(error="40P01"))
    assert (Move.of_step(wait).waited, Move.of_step(wait).failed) == (True, False)
    assert (Move.of_step(failed).waited, Move.of_step(failed).failed) == (False, True)
