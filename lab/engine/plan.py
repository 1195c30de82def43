"""What the engine is asked to run, and what it hands back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from lab.engine.ports import Looks
from lab.model.origin import Line, Origin
from lab.model.outcome import Ending
from lab.model.record import Sharing
from lab.model.stall import Stall
from lab.model.trace import Trace

__all__ = ["Body", "Finished", "Plan"]

Body = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Finished:
    """One execution as the engine saw it: `values` and `errors` by root actor; those in neither did not end."""

    ending: Ending
    trace: Trace
    values: Mapping[str, object]
    errors: Mapping[str, BaseException]
    stalls: tuple[Stall, ...] = ()
    sharings: tuple[Sharing, ...] = ()
    deadlocks: tuple[tuple[int, str], ...] = ()
    """Each deadlock as PostgreSQL reported it: (number of the step in which its victim was refused, detail)."""
    sessions: Mapping[int, str] = field(default_factory=dict)
    struck: frozenset[str] = frozenset()
    """The actors that a fault hit."""
    unpaused: bool = False
    """A statement met several rows, and could not be paused between them on this server."""
    unpausable: frozenset[int] = frozenset()
    """The numbers of the steps whose statements could not be paused, however many rows they meet."""
    crossed: bool = False
    """A root actor waited in the process for what another one gave."""
    held_back: tuple[str, ...] = ()
    """The root actors that slept so often that they had to let another one go first."""
    elsewhere: tuple[str, ...] = ()
    """The root actors that started a process or a thread of their own, or waited for a socket that is not the lab's."""
    threads: tuple[str, ...] = ()
    """What actors did in threads that everybody waited for, as phrases."""
    origins: tuple[Origin | None, ...] = ()
    """Where each step comes from, None where that is not known; empty where nobody asked for it."""
    raised: Mapping[str, Line] = field(default_factory=dict)
    """Where in the user's code the errors of actors were raised, as far as that is known; noted with `origins`."""
    defect: str = ""
    """Why the lab failed to note it, as a sentence."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: the actors' bodies, and within which limits."""

    bodies: Mapping[str, Body]
    step_limit: int
    faults: tuple[str, ...] = ()
    faults_at_least: int = 0
    faults_at_most: int = 0
    survives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Root actor -> the faults that strike it unasked, since it says that it survives them."""
    starts: bool = False
    """That an actor begins is a decision."""
    all_points: bool = False
    """A sleep for no time is a decision wherever it is."""
    origins: bool = False
    """The line of the user's code that causes each step is to be noted."""
    looks: Looks | None = None
    """Awaited after each step that committed something, before the next decision."""
