"""The three verdicts on a search."""

from __future__ import annotations

__all__ = ["Verdict"]


class Verdict:
    """The three verdicts. Not an enumeration, since programs read them as text."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
