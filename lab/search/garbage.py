"""How often Python looks for garbage, in processes of the lab's own.

Nearly all that is imported stays. To look through it again and again while more is imported is a tenth of a start, so
until then it is hardly done (see `lab.cli` and `begin`); and what was imported need not be looked through ever after.
"""

from __future__ import annotations

import gc

__all__ = ["settled"]

OFTEN = 50_000
"""New objects after which Python looks for garbage, once all is imported."""


def settled() -> None:
    """All that a hunt needs is imported; what follows makes garbage."""
    gc.freeze()
    gc.set_threshold(OFTEN)
