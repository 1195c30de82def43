"""What a family is: the functions in which a task waits for one kind of things, and what their frames say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

__all__ = ["Family", "Seen", "kind_of", "method", "own"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a task waits for, as the frame of a library's function shows it."""

    kind: str
    """What it is: "asyncio.Lock"."""
    thing: object = None
    """It itself: by its identity it is known who took it, and which name leads to it."""
    state: str = ""
    act: str = ""
    """What somebody would have to do for the task, "set it"; "" where it is taken and given back."""
    owners: tuple[object, ...] = ()
    """The tasks that have it, where it knows them itself; or those that have to end."""
    ends: bool = False
    """The owners are tasks that have to end."""
    named: bool = True
    """A variable that leads to it says more of it than its kind."""


Look = Callable[[FrameType, Sequence[FrameType]], Seen | None]
"""Given a frame and those deeper in the stack: what is waited for there; None if a deeper one says it better."""


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of waits: the code of each function -> what its frame says."""

    name: str
    looks: Mapping[CodeType, Look]


def method(function: Any) -> CodeType:
    """The code of a function or method, by which a frame is known."""
    code: CodeType = getattr(function, "__func__", function).__code__
    return code


def own(frame: FrameType) -> Any:
    """Whose method a frame runs; None for a function."""
    return frame.f_locals.get("self")


def kind_of(thing: object, library: str) -> str:
    """The name of a thing's class as its users know it: those of the library by the library's name."""
    kind = type(thing)
    name = kind.__name__.removesuffix("Adapter")
    return f"{library}.{name}" if kind.__module__.partition(".")[0] == library else kind.__qualname__
