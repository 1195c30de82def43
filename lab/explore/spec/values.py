"""What a spec says, as frozen values: its setups, sessions, steps and permutations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from math import factorial, prod

__all__ = [
    "Call",
    "Marker",
    "MarkerKind",
    "Permutation",
    "Program",
    "Spec",
    "SpecSession",
    "SpecStep",
    "number_of_orders",
    "orders",
]


class MarkerKind(Enum):
    """What a permutation may say of a step: when it counts as complete."""

    ONCE = auto()
    """`(*)`: it is shown to wait, even if it is done at once."""
    STEP = auto()
    """`(step)`: not before that step of another session is complete."""
    NOTICES = auto()
    """`(step notices n)`: not before the session of that step has sent so many more notices."""


@dataclass(frozen=True, slots=True)
class SpecStep:
    """A step: a name, unique in its spec, the SQL that one simple query sends, and the place of its session from 0."""

    name: str
    sql: str
    session: int


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker of a step in a permutation. `step` is None for `(*)`, `notices` is 0 but for NOTICES."""

    kind: MarkerKind
    step: SpecStep | None = None
    notices: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """A step in a permutation, with its markers."""

    step: SpecStep
    markers: tuple[Marker, ...] = ()


Permutation = tuple[Call, ...]
"""An order of steps. A listed one may leave steps out, and name one twice."""

Program = tuple[tuple[SpecStep, ...], ...]
"""For each session the steps that it takes, in their order."""


@dataclass(frozen=True, slots=True)
class SpecSession:
    """A session: a connection that stays open for all permutations."""

    name: str
    setup: str | None
    steps: tuple[SpecStep, ...]
    teardown: str | None


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec as it was read. `name` is the file's without its ending."""

    name: str
    setups: tuple[str, ...]
    teardown: str | None
    sessions: tuple[SpecSession, ...]
    listed: tuple[Permutation, ...]
    """The permutations that the file lists; where it lists none, all are meant."""

    @property
    def permutations(self) -> Iterator[Permutation]:
        """Those that are to be run, in their order."""
        if self.listed:
            return iter(self.listed)
        return (tuple(map(Call, order)) for order in orders(tuple(session.steps for session in self.sessions)))

    @property
    def unused(self) -> tuple[str, ...]:
        """The steps that no listed permutation names, by name."""
        used = {call.step for permutation in self.listed for call in permutation}
        steps = [step for session in self.sessions for step in session.steps]
        names = [step.name for step in steps if self.listed and step not in used]
        return tuple(sorted(names, key=lambda name: name.encode("utf-8", "surrogateescape")))

    def program_of(self, permutation: Permutation) -> Program:
        """What each session does in a permutation."""
        return tuple(
            tuple(call.step for call in permutation if call.step.session == number)
            for number in range(len(self.sessions))
        )


def orders(program: Program) -> Iterator[tuple[SpecStep, ...]]:
    """All orders of the steps of a program that keep each session's own, in the order of PostgreSQL's runner."""
    ahead = [0] * len(program)
    order: list[SpecStep] = []

    def deeper() -> Iterator[tuple[SpecStep, ...]]:
        over = True
        for number, steps in enumerate(program):
            if ahead[number] < len(steps):
                over = False
                order.append(steps[ahead[number]])
                ahead[number] += 1
                yield from deeper()
                ahead[number] -= 1
                order.pop()
        if over:
            yield tuple(order)

    return deeper()


def number_of_orders(program: Program) -> int:
    """How many `orders` there are."""
    return factorial(sum(map(len, program))) // prod(factorial(len(steps)) for steps in program)
