"""A schedule: who takes each step of one execution. A frozen value; text is made in `replay_token`.

Decisions are stored as actor names, not as indexes among the runnable. A name says what was meant even
when the choices differ, so a replay can tell at which step it left the recorded path and why; an index
would silently pick somebody else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from lab.model.breakpoints import Breakpoint
from lab.model.trace import Trace

__all__ = ["Decision", "Schedule", "choices_digest"]

Decision = str
"""The name of the actor that takes the step, for example `alice`, or `alice/1` for a task of hers; or that of a fault
(`kill@alice`) or of a breakpoint (`pause2@alice`)."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The decisions of one execution, one for each step.

    `choices` is a digest of the alternatives that were met on the way, or "" when it is not known. It
    lets a replay notice choices that differ although every recorded decision could still be taken.
    """

    decisions: tuple[Decision, ...] = ()
    choices: str = ""

    def __iter__(self) -> Iterator[Decision]:
        return iter(self.decisions)

    def __len__(self) -> int:
        return len(self.decisions)

    @property
    def runs(self) -> tuple[tuple[Decision, int], ...]:
        """Maximal runs of one actor: `(("alice", 2), ("bob", 4))`."""
        return tuple((name, len(list(group))) for name, group in groupby(self.decisions))

    @classmethod
    def of(cls, trace: Trace) -> Schedule:
        """The schedule that produced a trace."""
        return cls(
            tuple(step.chosen for step in trace),
            choices_digest(step.alternatives for step in trace),
        )


def choices_digest(alternatives: Iterable[tuple[str, ...]]) -> str:
    """Five characters that change when the runnable actors of any step change (about 1 in 10⁷ by chance).

    Breakpoints that could have been set do not count: which rows they stand at is a guess of the lab's about a plan,
    and a replay that sets none is the same wherever they are offered.
    """
    text = "\n".join(" ".join(name for name in names if not Breakpoint.named(name)) for names in alternatives)
    return base64.b32encode(hashlib.sha256(text.encode()).digest())[:5].decode().lower()
