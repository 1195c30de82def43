"""Claims: what a right variant promises, for INVARIANTS.md. A claim stands on the class that keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lab.errors import ScenarioError
from lab.scenario.declare import Scenario, target_of

__all__ = ["ACID", "Bug", "Claim", "Entry", "claim", "claim_of"]

ACID = ("Atomicity", "Consistency", "Isolation", "Durability")
"""The classes of claims, in the order of the document."""

_CLAIM = "_lab_claim"

Class = TypeVar("Class", bound=type[Scenario])


@dataclass(frozen=True, slots=True)
class Claim:
    """What a scenario promises: a title, its class, why it matters, and the test that holds it.

    `test` is a pytest node id from the root of the project; `max_examples` is what that test runs.
    """

    title: str
    acid: str
    critical: str
    test: str
    max_examples: int


def claim(*, title: str, acid: str, critical: str, test: str, max_examples: int = 50) -> Callable[[Class], Class]:
    """Declare what a scenario promises. Raises `ScenarioError` for an unknown class of claim."""

    def mark(cls: Class) -> Class:
        if acid not in ACID:
            raise ScenarioError(f"{target_of(cls)} claims {acid!r}; known are {', '.join(ACID)}")
        setattr(cls, _CLAIM, Claim(title, acid, critical, test, max_examples))
        return cls

    return mark


def claim_of(cls: type[Scenario]) -> Claim | None:
    """The claim that a class declares itself, not one that it inherits."""
    found = vars(cls).get(_CLAIM)
    assert found is None or isinstance(found, Claim)
    return found


@dataclass(frozen=True, slots=True)
class Bug:
    """A planted bug as its token replays it: what happened, why, and what cures it."""

    target: str
    happened: str
    cause: str
    fix: str
    token: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One invariant of the document. `levels` maps each isolation level to what was run there."""

    target: str
    claim: Claim
    statement: str
    isolation: str
    levels: tuple[tuple[str, str], ...]
    bugs: tuple[Bug, ...]

    @property
    def holds_at(self) -> tuple[str, ...]:
        """The levels at which no violation was seen."""
        return tuple(level for level, seen in self.levels if seen.startswith("holds"))
