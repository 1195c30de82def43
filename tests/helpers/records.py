"""Records of executions with texts of every kind in them, drawn by chance: what a report has to be made from."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass

from helpers.decided import step_of
from helpers.kit import Bank
from lab import actor
from lab.model.history import History, PredicateRead, Read, Status, Transaction, Version, Write
from lab.model.leak import Leak
from lab.model.origin import Line, Origin
from lab.model.outcome import ActorResult, Ending, Outcome, ResultKind
from lab.model.record import (
    AtLevel,
    DeadlockEdge,
    ExecutionRecord,
    Failure,
    Finding,
    Relevance,
    Sharing,
    Stall,
)
from lab.model.trace import Action, ActionKind, LockWait, Result, Step, Trace

NAMES = ("ann", "ben", "cleo", "ann/1")
PIECES = (
    *(
        "",
        " ",
        "\n",
        "\t",
        "\r",
        "\x00",
        "\x1b[2J",
        "\x9b31m",
        "\x7f",
        "\ud800",
        "\udfff",
        "\u202e",
        "é",
        "💥",
        "\ufeff",
    ),
    *(
        "[red]",
        "[/]",
        "[/bold",
        "{}",
        "{0}",
        "%s",
        "%(x)s",
        "\\",
        "'",
        '"',
        "$1",
        "$2::INTEGER",
        "$99999",
        "$tag$",
        "--",
    ),
    *("9" * 5000, "-1e999", "NaN", "None", "SELECT * FROM a", "INSERT INTO a VALUES ($1)", "a.b", "FOR UPDATE", "→"),
    *(
        "x" * 3000,
        "a, " * 300,
        "Traceback (most recent call last)",
        "/usr/lib/python3",
        "row (0,1) of a",
        "(",
        ")",
        ":",
    ),
)
LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


@dataclass(frozen=True)
class Anything(Bank):
    """The scenario of all these records; they never ran."""

    @actor(names=("ann", "ben", "cleo"))
    async def act(self) -> None:
        """Nothing."""


def text(chance: random.Random) -> str:
    """A text of up to four pieces."""
    letters = "".join(chance.choices(string.printable, k=chance.randrange(6)))
    return "".join([*chance.choices(PIECES, k=chance.randrange(4)), letters])


def texts(chance: random.Random, most: int = 3) -> tuple[str, ...]:
    return tuple(text(chance) for _ in range(chance.randrange(most + 1)))


def failure(chance: random.Random) -> Failure:
    """A failure, of which each part may be absent, empty, huge, or at odds with the others."""
    made = record(chance)
    return Failure(
        made,
        text(chance),
        made,
        execution=chance.randrange(3),
        scheduler=text(chance),
        identical=chance.randrange(6),
        replays=5,
        divergence=chance.choice(["", text(chance)]),
        relevance=Relevance(_numbers(chance), _numbers(chance), ((1, 2),) * chance.randrange(9), texts(chance)),
        levels=tuple(
            AtLevel(level, ((text(chance), "40001"),) * chance.randrange(3), broken=chance.random() < 0.5)
            for level in chance.sample(LEVELS, chance.randrange(4))
        ),
    )


def record(chance: random.Random) -> ExecutionRecord:
    """A record of an execution with at least one finding."""
    steps = tuple(step(chance, number) for number in range(1, chance.randrange(1, 9)))
    kinds = ("invariant", "result", "isolation", "serial", "stall", "deadlock", "", text(chance))
    return ExecutionRecord(
        Anything(),
        chance.choice(LEVELS),
        Trace(steps, NAMES[: chance.randrange(4)]),
        Outcome(chance.choice(list(Ending)), {name: result(chance) for name in chance.sample(NAMES, 2)}),
        tuple(
            Finding(chance.choice(kinds), text(chance), text(chance), chance.choice(["", text(chance), "/a/b.py:3"]))
            for _ in range(chance.randrange(1, 3))
        ),
        stalls=tuple(
            Stall("ann", text(chance), chance.choice([None, wait(chance)])) for _ in range(chance.randrange(2))
        ),
        sharings=(Sharing("AsyncSession", "ann", text(chance), "ben", text(chance)),) * chance.randrange(2),
        deadlocks=tuple(tuple(edge(chance) for _ in range(chance.randrange(3))) for _ in range(chance.randrange(3))),
        history=chance.choice([None, history(chance)]),
        unseen=texts(chance),
        origins=tuple(origin(chance) for _ in range(chance.randrange(len(steps) + 2))),
        defects=texts(chance, 1),
        leaks=tuple(leak(chance) for _ in range(chance.randrange(2))),
    )


def step(chance: random.Random, number: int) -> Step:
    actor = chance.choice(NAMES)
    kind = chance.choice(list(ActionKind))
    row = chance.choice([texts(chance), (texts(chance),), (texts(chance), texts(chance))])
    action = Action(kind, text(chance), row, database=chance.choice(["", text(chance)]))
    chosen = actor if kind is not ActionKind.FAULT else f"kill@{actor}"
    answer = chance.choice([None, Result(text(chance), tuple(texts(chance) for _ in range(3)), error=text(chance))])
    waits = chance.choice([None, None, wait(chance)])
    return step_of(number, chosen, (chosen,), action, chance.random() < 0.2, answer, waits, chance.choice(["", actor]))


def wait(chance: random.Random) -> LockWait:
    return LockWait(texts(chance), text(chance), text(chance))


def edge(chance: random.Random) -> DeadlockEdge:
    return DeadlockEdge(
        chance.choice(NAMES),
        chance.choice(NAMES),
        text(chance),
        text(chance),
        text(chance),
        texts(chance),
        step=chance.randrange(12),
        since=chance.randrange(12),
        row=text(chance),
    )


def leak(chance: random.Random) -> Leak:
    return Leak(
        "ann/1", text(chance), text(chance), text(chance), text(chance), chance.random() < 0.5, texts(chance, 2)
    )


def origin(chance: random.Random) -> Origin | None:
    if chance.random() < 0.3:
        return None
    lines = tuple(Line(text(chance), chance.randrange(99), text(chance)) for _ in range(chance.randrange(6)))
    own = chance.choice(lines) if lines else Line(text(chance), 1, text(chance))
    return Origin(own.file, own.line, own.function, lines)


def result(chance: random.Random) -> ActorResult:
    kind = chance.choice(list(ResultKind))
    return ActorResult(
        kind, text(chance), chance.choice([None, 1]), sqlstate=chance.choice(["", "40001", text(chance)])
    )


def history(chance: random.Random) -> History:
    """Two transactions that read each other's items and write them, mostly an anomaly."""
    items = (text(chance) or "a", "b")
    operations = []
    for own, other in (("t1", "t2"), ("t2", "t1")):
        seen = Version(other) if chance.random() < 0.3 else Version("", 0)
        operations.append(
            (
                Read(items[0], seen, 1, text(chance)),
                PredicateRead(text(chance), ((items[1], Version("", 0)),), 2),
                Write(chance.choice(items), 3, text(chance), undone=chance.choice([None, None, 4])),
                Write(items[0], chance.randrange(9), text(chance), dead=own == "t2"),
            )
        )
    states = list(Status)
    transactions = tuple(
        Transaction(name, each, chance.choice(states), chance.choice(LEVELS), text(chance))
        for name, each in zip(("t1", "t2"), operations, strict=True)
    )
    return History(transactions, {}, {})


def _numbers(chance: random.Random) -> tuple[int, ...]:
    return tuple(chance.sample(range(1, 30), chance.randrange(9)))
