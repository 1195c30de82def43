"""What the lab changes in the settings of a test of Hypothesis's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from hypothesis import Phase, settings

__all__ = ["one_example", "without_default_deadline"]


def without_default_deadline(test: Any) -> None:
    """An execution on a server has no use for the default deadline of 200 ms; one that was chosen stays."""
    own = getattr(test, "_hypothesis_internal_use_settings", None)
    usual = settings.default
    if own is None or usual is None or own.deadline == usual.deadline:
        test._hypothesis_internal_use_settings = settings(own, deadline=None)  # noqa: SLF001


@contextlib.contextmanager
def one_example(test: Any) -> Iterator[None]:
    """For a block, Hypothesis draws once and keeps nothing: a token says what is run, whatever is drawn."""
    own = getattr(test, "_hypothesis_internal_use_settings", None)
    if own is None:
        yield
        return
    once = settings(own, max_examples=1, phases=[Phase.generate], database=None, derandomize=True)
    test._hypothesis_internal_use_settings = once  # noqa: SLF001
    try:
        yield
    finally:
        test._hypothesis_internal_use_settings = own  # noqa: SLF001
