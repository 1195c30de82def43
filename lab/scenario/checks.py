"""Which invariants of a scenario are judged by serial runs of its actors, and whether it is small enough for that."""

from __future__ import annotations

from lab.errors import ScenarioError
from lab.scenario.declare import InvariantDeclaration, Scenario, actors_of, invariants_of, target_of
from lab.scenario.stated import Serializable

__all__ = ["MOST_ACTORS", "SERIAL", "SERIAL_BY_DEFAULT", "refuse_too_many_orders", "serial_invariants_of"]

SERIAL = "serial"
MOST_ACTORS = 6
"""For the serial check: they have 720 orders, of some milliseconds each. Seven would have 5,040."""

SERIAL_BY_DEFAULT = InvariantDeclaration("some serial order gives the same results and rows", "", (), "", SERIAL)
"""What is checked where the scenario does not state it itself."""


def serial_invariants_of(cls: type[Scenario], *, asked: bool = False) -> tuple[InvariantDeclaration, ...]:
    """The invariants that are judged by serial runs: those stated, or the default where it is asked for or on.

    It is on where a scenario states no more than that nobody deadlocks, and has few enough actors; without it, nothing
    would be judged but errors, stalls and that. A class that takes an inherited `serializable()` out has opted out.
    """
    stated = invariants_of(cls)
    if serial := tuple(each for each in stated if each.checker == SERIAL):
        return serial
    on = (
        all(each.checker == "deadlock" for each in stated)
        and not _opted_out(cls)
        and len(actors_of(cls)) <= MOST_ACTORS
    )
    return (SERIAL_BY_DEFAULT,) if on or asked else ()


def refuse_too_many_orders(cls: type[Scenario], *, asked: bool = False) -> None:
    """Raise `ScenarioError` for a scenario that is to be judged by serial runs and is too large for that."""
    actors = len(actors_of(cls))
    if actors > MOST_ACTORS and serial_invariants_of(cls, asked=asked):
        raise ScenarioError(
            f"{target_of(cls)} has {actors} actors: the serial check takes at most {MOST_ACTORS}; "
            "leave the check out, or make the scenario smaller"
        )


def _opted_out(cls: type[Scenario]) -> bool:
    return any(isinstance(value, Serializable) for base in cls.__mro__ for value in vars(base).values())
