"""Runs a test once for each token that `@replays` pins on it, before its own run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lab.errors import Divergence, TokenError
from lab.model.replay_token import decode
from lab.search.direct.examples import one_example
from lab.search.direct.lab import Lab

__all__ = ["run_pinned"]


def run_pinned(item: pytest.Function, lab: Lab, tokens: Sequence[str]) -> None:
    """Run a test for its tokens. Raises what the test does, and fails for a token that nothing in it was of."""
    for number, text in enumerate(tokens, 1):
        which = f"@replays, token {number} of {len(tokens)}"
        failed = ""
        try:
            lab.pinned = decode(text)
            lab.met.clear()
            with one_example(item.obj):
                item.ihook.pytest_pyfunc_call(pyfuncitem=item)
            if lab.pinned.target not in lab.met:
                failed = f" is of {lab.pinned.target}; the scenarios of this test are: {', '.join(lab.met) or 'none'}"
        except (Divergence, TokenError) as error:
            failed = f": {error}"
        except AssertionError as error:
            error.add_note(f"This was the replay of {which}.")
            raise
        finally:
            lab.pinned = None
            lab.met.clear()
        if failed:
            pytest.fail(f"{which}{failed}", pytrace=False)
