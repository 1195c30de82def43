"""A failing schedule beside the nearest one that passed: which steps are the same, and which come elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

__all__ = ["Pair", "Side", "beside"]

SAME, MOVED, ALONE = "same", "comes elsewhere", "only here"


@dataclass(frozen=True, slots=True)
class Side:
    """A step of one of the two."""

    number: int
    actor: str
    text: str
    how: str
    """`same`, `comes elsewhere` or `only here`."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What stands beside each other; None where one of them has nothing there."""

    failing: Side | None
    passing: Side | None


def beside(page: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Both schedules, step by step; nothing where none passed."""
    if not page["passing"]:
        return ()
    here = [(step["actor"] or "", step["text"]) for step in page["story"]["steps"]]
    there = [(step["actor"], step["text"]) for step in page["passing"]]
    return tuple(_pairs(here, there))


def _pairs(here: Sequence[tuple[str, str]], there: Sequence[tuple[str, str]]) -> Iterator[Pair]:
    counted = Counter(here), Counter(there)
    for kind, start, stop, first, last in SequenceMatcher(None, here, there, autojunk=False).get_opcodes():
        left = [_side(at, here, kind, counted[1]) for at in range(start, stop)]
        right = [_side(at, there, kind, counted[0]) for at in range(first, last)]
        yield from (Pair(*each) for each in zip_longest(left, right))


def _side(at: int, steps: Sequence[tuple[str, str]], kind: str, others: Counter[tuple[str, str]]) -> Side:
    actor, text = steps[at]
    how = SAME if kind == "equal" else MOVED if others[steps[at]] else ALONE
    return Side(at + 1, actor, text, how)
