"""How an execution compares with the serial runs of its actors, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Difference", "DifferenceKind", "SerialJudgement"]


class DifferenceKind(StrEnum):
    """What differs between an execution and a serial run."""

    RESULT = "result"
    ROW = "row"
    LINKS = "links"
    """The rows are the same, but the generated ids in them lead to other rows."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: of an actor's result, or of a row. A side without the row holds ""."""

    kind: DifferenceKind
    what: str
    """The actor, the table, or the table and the row's key."""
    here: str
    """What the execution gave."""
    there: str
    """What the serial run gave."""


@dataclass(frozen=True, slots=True)
class SerialJudgement:
    """Whether some serial order gives what an execution gave.

    `differences` is empty when one does; else they are those to `order`, the nearest one. An `obstacle` says why the
    execution could not be judged.
    """

    order: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    tried: int = 0
    """Serial runs that came to their end and were compared."""
    unusable: int = 0
    """Those that stalled, met the step limit or were not serial: they cannot be compared with."""
    normalised: tuple[str, ...] = ()
    """What was not compared, since it differs in every execution: `ids of event`."""
    obstacle: str = ""
