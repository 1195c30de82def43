"""Which steps conflict, judged by their SQL alone: coarse, and only where nothing depends on its being exact.

What conflicts may be too much here, never too little: two steps that do not touch the database, or two plain reads, are
independent, anything else is not.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.trace import Action, ActionKind

__all__ = ["Move", "dependent"]

OUTSIDE = frozenset({ActionKind.POINT, ActionKind.SLEEP, ActionKind.FETCH, ActionKind.SAVEPOINT, ActionKind.RELEASE})
"""What leaves rows and locks as they are."""


@dataclass(frozen=True, slots=True)
class Move:
    """A step that was taken or is about to be taken."""

    actor: str
    action: Action
    waited: bool = False

    @classmethod
    def of(cls, actor: str, action: Action, waited: bool = False) -> Move:  # noqa: FBT001, FBT002 - as in `dependence`
        """The move of an actor."""
        return cls(actor, action, waited)

    @property
    def reads(self) -> bool:
        """Whether it is a plain read."""
        text = self.action.text.lstrip().upper()
        return self.action.kind is ActionKind.STATEMENT and text.startswith("SELECT") and " FOR " not in text


def dependent(a: Move, b: Move) -> bool:
    """Whether the order of two moves may matter."""
    if a.actor == b.actor:
        return True
    if a.action.kind in OUTSIDE or b.action.kind in OUTSIDE:
        return False
    return not (a.reads and b.reads)
