"""The fourteen textbook sequences end as PostgreSQL's documentation says and as the Hermitage collection reports.

What is expected was written down from there and from the rules of the levels, not from what the lab gave: READ
COMMITTED takes a snapshot for each statement and looks again after a wait; above it, the first statement takes the only
one, and a write to a row that was changed since is refused; SERIALIZABLE also refuses what closes a cycle of reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from helpers.decided import decided
from helpers.kit import replays

from lab.checkers.isolation.anomalies import AnomalyName
from lab.explore import Explorer
from lab.model.outcome import ResultKind
from lab.model.record import ExecutionRecord
from lab.postgres.server.embedded import embedded_server
from lab.scenario.declare import ISOLATION_LEVELS, kind_of
from lab.schedulers.guided import Wished
from scenarios.hermitage import (
    G0,
    G2,
    OTV,
    P4,
    PMP,
    SEQUENCES,
    G1a,
    G1b,
    G1c,
    G2Item,
    G2TwoEdges,
    GSingle,
    GSinglePredicate,
    GSingleWritePredicate,
    PMPWrite,
)

RC, RR, S = ISOLATION_LEVELS
CONCURRENT_UPDATE = "could not serialize access due to concurrent update"
CYCLE_OF_READS = "could not serialize access due to read/write dependencies among transactions"


@dataclass(frozen=True)
class Expected:
    """How a sequence ends: the final rows, and what each SELECT read, as `id=value` in order of ids; "" is no row."""

    rows: str
    t1: tuple[str, ...] = ()
    t2: tuple[str, ...] = ()
    t3: tuple[str, ...] = ()
    waits: dict[int, str] = field(default_factory=dict)
    """Number of a step -> who began to wait in it."""
    refused: tuple[int, str, str] | None = None
    """The step, whom and why: always 40001."""


BOTH = "1=10 2=20"
EXPECTED = {
    G0: {
        (RC,): Expected("1=12 2=22", t1=("1=11 2=21",), t2=("1=12 2=22",), waits={2: "t2"}),
        (RR, S): Expected("1=11 2=21", t1=("1=11 2=21",), waits={2: "t2"}, refused=(5, "t2", CONCURRENT_UPDATE)),
    },
    G1a: {(RC, RR, S): Expected(BOTH, t2=(BOTH, BOTH))},
    G1b: {
        (RC,): Expected("1=11 2=20", t2=(BOTH, "1=11 2=20")),
        (RR, S): Expected("1=11 2=20", t2=(BOTH, BOTH)),
    },
    G1c: {
        (RC, RR): Expected("1=11 2=22", t1=("2=20",), t2=("1=10",)),
        (S,): Expected("1=11 2=20", t1=("2=20",), t2=("1=10",), refused=(6, "t2", CYCLE_OF_READS)),
    },
    OTV: {
        (RC,): Expected("1=12 2=18", t3=("1=11", "2=19", "2=18", "1=12"), waits={3: "t2"}),
        (RR, S): Expected(
            "1=11 2=19",
            t3=("1=11", "2=19", "2=19", "1=11"),
            waits={3: "t2"},
            refused=(5, "t2", CONCURRENT_UPDATE),
        ),
    },
    PMP: {
        (RC,): Expected("1=10 2=20 3=30", t1=("", "3=30")),
        (RR, S): Expected("1=10 2=20 3=30", t1=("", "")),
    },
    PMPWrite: {
        (RC,): Expected("1=20 2=30", t2=("1=20",), waits={2: "t2"}),
        (RR, S): Expected("1=20 2=30", waits={2: "t2"}, refused=(4, "t2", CONCURRENT_UPDATE)),
    },
    P4: {
        (RC,): Expected("1=11 2=20", t1=("1=10",), t2=("1=10",), waits={4: "t2"}),
        (RR, S): Expected(
            "1=11 2=20", t1=("1=10",), t2=("1=10",), waits={4: "t2"}, refused=(6, "t2", CONCURRENT_UPDATE)
        ),
    },
    GSingle: {
        (RC,): Expected("1=12 2=18", t1=("1=10", "2=18"), t2=("1=10", "2=20")),
        (RR, S): Expected("1=12 2=18", t1=("1=10", "2=20"), t2=("1=10", "2=20")),
    },
    GSinglePredicate: {
        (RC,): Expected("1=12 2=20", t1=(BOTH, "1=12")),
        (RR, S): Expected("1=12 2=20", t1=(BOTH, "")),
    },
    GSingleWritePredicate: {
        (RC,): Expected("1=12 2=18", t1=("1=10",), t2=(BOTH,)),
        (RR, S): Expected("1=12 2=18", t1=("1=10",), t2=(BOTH,), refused=(6, "t1", CONCURRENT_UPDATE)),
    },
    G2Item: {
        (RC, RR): Expected("1=11 2=21", t1=("1=10", "2=20"), t2=("1=10", "2=20")),
        (S,): Expected("1=11 2=20", t1=("1=10", "2=20"), t2=("1=10", "2=20"), refused=(8, "t2", CYCLE_OF_READS)),
    },
    G2: {
        (RC, RR): Expected("1=10 2=20 3=30 4=42", t1=("",), t2=("",)),
        (S,): Expected("1=10 2=20 3=30", t1=("",), t2=("",), refused=(6, "t2", CYCLE_OF_READS)),
    },
    G2TwoEdges: {
        (RC, RR): Expected("1=0 2=25", t1=(BOTH,), t3=("1=10 2=25",)),
        (S,): Expected("1=10 2=25", t1=(BOTH,), t3=("1=10 2=25",), refused=(6, "t1", CYCLE_OF_READS)),
    },
}

CASES = {
    (cls, level): expected
    for cls, at_levels in EXPECTED.items()
    for levels, expected in at_levels.items()
    for level in levels
}
each_case = pytest.mark.parametrize(
    ("cls", "level"), CASES, ids=lambda value: value if isinstance(value, str) else value.__name__
)

ALLOWED_AT = {"PMP": (RC,), "P4": (RC,), "G-single": (RC,), "G2-item": (RC, RR), "G2": (RC, RR)}
"""The table of docs/architecture.md; PostgreSQL prevents the other anomalies at every level."""


def test_all_fourteen_are_here_with_expectations_for_every_level():
    assert len(SEQUENCES) == len(set(SEQUENCES)) == 14
    assert set(CASES) == {(cls, level) for cls in SEQUENCES for level in ISOLATION_LEVELS}
    others = {AnomalyName.INTERNAL, AnomalyName.ORDER, AnomalyName.LONG_FORK}
    assert {cls.anomaly for cls in SEQUENCES} == set(AnomalyName) - others


@pytest.mark.parametrize("cls", SEQUENCES, ids=lambda cls: cls.__name__)
def test_a_sequence_is_a_probe_and_names_the_levels_that_allow_its_anomaly(cls):
    assert kind_of(cls) == "probe"
    assert cls.allowed_at == ALLOWED_AT.get(cls.anomaly, ())


@each_case
async def test_a_sequence_ends_as_postgresql_documents(plain, cls, level):
    """Who read what, who waited and who was refused in which step, and the final rows."""
    ends_as_expected(await run(plain, cls, level), CASES[cls, level])


@each_case
async def test_a_sequence_replays_identically(plain, cls, level):
    """Three times of three, from what was recorded."""
    assert await replays(plain, await run(plain, cls, level), 3, isolation=level)


async def test_the_write_that_waited_finds_nothing_to_delete(plain):
    """At READ COMMITTED the row of value 20 that the DELETE had found is another one when it may go on."""
    record = await run(plain, PMPWrite, RC)
    assert record.trace.steps[3].result.tag == "DELETE 0"


async def test_the_sequences_end_alike_on_the_oldest_version(anyio_backend):
    with embedded_server(16) as server:
        explorer = Explorer(server, learns=False)
        assert (await explorer.open()).abilities.version // 10000 == 16
        for (cls, level), expected in CASES.items():
            ends_as_expected(await run(explorer, cls, level), expected)
        await explorer.aclose()


async def run(explorer, cls, level) -> ExecutionRecord:
    """One execution of a sequence, in its own order."""
    order = Wished(decided(cls.schedule))
    order.begin(0)
    return await explorer.run(cls(), order, isolation=level)


def ends_as_expected(record: ExecutionRecord, expected: Expected) -> None:
    case = f"{type(record.scenario).__name__} at {record.isolation}"
    assert [step.actor for step in record.trace] == followed(record.scenario.schedule, expected), case
    assert {step.number: step.actor for step in record.trace if step.wait} == expected.waits, case
    assert [refusal(record, step) for step in record.trace if step.result and step.result.error] == [
        each for each in [expected.refused] if each
    ], case
    for name, result in record.outcome.results.items():
        read = getattr(expected, name)
        assert reads(record, name) == list(read), (case, name)
        if result.kind is ResultKind.RETURNED:
            assert [told(rows) for rows in result.value or []] == list(read), (case, name)
    assert " ".join(row.strip("()").replace(",", "=") for row in record.outcome.rows["test"]) == expected.rows, case


def followed(schedule: str, expected: Expected) -> list[str]:
    """The order of the schedule, where the refused one only rolls back in his next step.

    One whose COMMIT is refused has no step left, and needs none: PostgreSQL has then rolled back.
    """
    names = schedule.split()
    if expected.refused is None:
        return names
    step, who, _ = expected.refused
    rollback = names.index(who, step) if who in names[step:] else step
    return names[: rollback + 1] + [name for name in names[rollback + 1 :] if name != who]


def refusal(record: ExecutionRecord, step) -> tuple[int, str, str]:
    """A step that the server refused, as an expectation has it."""
    result = record.outcome.results[step.actor]
    assert (step.result.error, result.kind, result.sqlstate) == ("40001", ResultKind.ABORTED, "40001")
    return step.number, step.actor, result.text.partition(": ")[2]


def reads(record: ExecutionRecord, actor: str) -> list[str]:
    """What each SELECT of an actor gave, also of one who was refused later and returned nothing."""
    return [
        told(step.result.rows)
        for step in record.trace
        if step.actor == actor and step.action.text.startswith("SELECT") and step.result is not None
    ]


def told(rows) -> str:
    return " ".join(f"{number}={value}" for number, value in rows)
