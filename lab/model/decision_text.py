"""How a decision reads: `alice`, `pause2@alice`, `kill@alice`, `crash@server`. In tokens, digests and messages.

A word before an `@` is a fault, or a pause with the number of a row. The known faults are not looked up here, so this
needs no table, and a token with a fault that no longer exists is refused by name. An actor may have any name: one that
could be mistaken for something else is quoted by an `@` in front, so `@kill@alice` is the actor `kill@alice`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

from lab.model.decision import Decision, Go, Pause, Strike

__all__ = ["choices_digest", "decision_of", "decision_text"]

_QUOTE = "@"
_PAUSE = re.compile(r"pause([1-9][0-9]{0,8})@(.+)", re.DOTALL)
_STRIKE = re.compile(r"([a-z_][a-z_-]*)@(.*)", re.DOTALL)


def decision_text(decision: Decision) -> str:
    """The decision as text; `decision_of` parses it."""
    match decision:
        case Go(actor):
            return actor if _QUOTE not in actor or decision_of(actor) == decision else _QUOTE + actor
        case Pause(actor, place):
            return f"pause{place}@{actor}"
        case Strike(fault, actor):
            return f"{fault}@{actor}"


def decision_of(text: str) -> Decision:
    """The decision that a text stands for. Every text stands for one."""
    if found := _PAUSE.fullmatch(text):
        return Pause(found[2], int(found[1]))
    if found := _STRIKE.fullmatch(text):
        return Strike(found[1], found[2])
    if text.startswith(_QUOTE) and decision_of(text[1:]) != Go(text[1:]):
        return Go(text[1:])
    return Go(text)


def choices_digest(alternatives: Iterable[tuple[Decision, ...]]) -> str:
    """Five characters that change when the runnable actors of any step change (about 1 in 10⁷ by chance).

    Breakpoints that could have been set do not count: the lab only guesses from the query plan at which rows they
    stand, and a replay that sets none is the same wherever they are offered. Nor do timeouts that could have fired, nor
    faults that could have struck: a hunt may be asked for more of them than its scenario lists, and a replay offers
    those of its schedule.
    """
    text = "\n".join(" ".join(map(decision_text, filter(_counts, decisions))) for decisions in alternatives)
    return base64.b32encode(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())[:5].decode().lower()


def _counts(decision: Decision) -> bool:
    return not isinstance(decision, Pause | Strike)
