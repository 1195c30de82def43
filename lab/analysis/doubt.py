"""Why the executions of a hunt without a violation say too little: then its verdict is inconclusive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.analysis.coverage import in_both_orders
from lab.model.text import count

if TYPE_CHECKING:
    from lab.analysis.tally import HuntResult

__all__ = ["doubt_of"]


def doubt_of(result: HuntResult) -> str:
    """The first reason that holds, as a sentence; "" if none does."""
    endless = count(result.endless, "execution")
    reasons = (
        (result.trouble, result.trouble),
        (result.unsteady, result.unsteady),
        (result.not_checked, "; ".join(result.not_checked)),
        (result.endless, f"{endless} met the step limit{result.repeats and f': {result.repeats}'}"),
        (not result.executions, "the given time was too short for a single execution"),
        (result.unjudged == result.executions, f"nothing could be judged: {result.obstacle}"),
    )
    return next((words for holds, words in reasons if holds), "") or _unmet(result)


def _unmet(result: HuntResult) -> str:
    """What a race would need and no execution showed. Where the time was over, that is the reason."""
    seen = result.coverage
    reasons = (
        (
            not seen.overlapped,
            "nothing overlapped: no actor took a step while another one was within a transaction",
        ),
        (
            not seen.conflicted,
            "nothing conflicted: no two actors touched the same rows, waited for each other or were refused",
        ),
        (
            not result.complete and bool(seen.pairs) and not in_both_orders(seen.pairs),
            "no two conflicting steps were met in both orders",
        ),
    )
    words = next((words for holds, words in reasons if holds), "")
    if words and result.ran_out:
        return f"the given time was over after {count(result.executions, 'execution')}, and until then {words}"
    return words
