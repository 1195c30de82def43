"""Decisions in tests as they read in tokens: `alice`, `pause2@alice`, `kill@alice`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from lab.model.choices import Alternative
from lab.model.decision import Decision
from lab.model.decision_text import decision_of, decision_text
from lab.model.trace import Action, Step

_decision_of = cache(decision_of)


def decided(texts: str | Iterable[str]) -> tuple[Decision, ...]:
    """The decisions that these texts say; one text holds several, with spaces between."""
    return tuple(map(_decision_of, texts.split() if isinstance(texts, str) else texts))


def said(decisions: Iterable[Decision]) -> tuple[str, ...]:
    """Decisions as texts."""
    return tuple(map(decision_text, decisions))


def offer(text: str, action: Action, woken: bool = False) -> Alternative:
    """An alternative."""
    return Alternative(_decision_of(text), action, woken)


def step_of(number: int, chosen: str, alternatives: Iterable[str], action: Action, *more: Any, **named: Any) -> Step:
    """A step of a trace."""
    return Step(number, _decision_of(chosen), decided(alternatives), action, *more, **named)
