"""`@replays("lab1:…")`: found interleavings, pinned beside a test as Hypothesis's `@example` pins data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from lab.errors import UsageError

__all__ = ["pinned_on", "replays"]

_PINNED = "_lab_replays"
Test = TypeVar("Test", bound=Callable[..., Any])


def replays(*tokens: str) -> Callable[[Test], Test]:
    """Replay these tokens in a test, before it does what it does otherwise.

        @replays("lab1:shop.races:DoubleClick::-:ann2.ben4.ann2:…")
        async def test_nothing_is_sold_twice(lab: Lab) -> None:
            await lab.hunt(DoubleClick())

    For each token pytest runs the test once more, and what it checks, hunts or races of the token's scenario is this
    one execution. It fails where that breaks something, and where the scenario has changed so that the token cannot be
    replayed; then it says what can be. Raises `UsageError` for what is not a token's text.
    """
    if not tokens or not all(isinstance(each, str) for each in tokens):
        raise UsageError('@replays takes the texts of replay tokens, as in @replays("lab1:…")')

    def pin(test: Test) -> Test:
        setattr(test, _PINNED, (*tokens, *getattr(test, _PINNED, ())))
        return test

    return pin


def pinned_on(test: object) -> tuple[str, ...]:
    """The tokens that are pinned on a test, also where Hypothesis's `given` stands above them."""
    inner = getattr(getattr(test, "hypothesis", None), "inner_test", None)
    found: tuple[str, ...] = getattr(test, _PINNED, ()) or getattr(inner, _PINNED, ())
    return found
