"""What a failure needed and what it did not, in a line each. Only what was run is claimed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from lab.model.record import Relevance
from lab.model.text import listed
from lab.report.section import Section
from lab.report.story import WIDTH

__all__ = ["SECTION", "irrelevant_text", "needed_text", "relevance_lines"]

MOST = 6
"""Claims of one kind that are spelled out."""


def relevance_lines(relevance: Relevance) -> Iterator[str]:
    """Lines for the failure message; nothing if nothing is claimed."""
    needed, irrelevant = needed_text(relevance), irrelevant_text(relevance)
    if needed:
        yield from textwrap.wrap(f"Needed: {needed}", WIDTH, subsequent_indent="  ")
    if irrelevant:
        yield from textwrap.wrap(f"Irrelevant: {irrelevant}", WIDTH, subsequent_indent="  ")


def needed_text(relevance: Relevance) -> str:
    """For example "the preemption after #1", "the fault #3"; "" for nothing."""
    parts = []
    if relevance.preemptions:
        noun = "the preemption" if len(relevance.preemptions) == 1 else "the preemptions"
        parts.append(f"{noun} after {listed([f'#{number}' for number in relevance.preemptions], most=MOST)}")
    if relevance.faults:
        noun = "the fault" if len(relevance.faults) == 1 else "the faults"
        parts.append(f"{noun} {listed([f'#{number}' for number in relevance.faults], most=MOST)}")
    return ", and ".join(parts)


def irrelevant_text(relevance: Relevance) -> str:
    """For example "the order of #1 and #2, of #4 and #5; whether cleo runs first or last"; "" for nothing."""
    parts = []
    if relevance.swaps:
        shown = [f"of #{one} and #{other}" for one, other in relevance.swaps]
        parts.append(f"the order {listed(shown, most=MOST, last=', ')}")
    if relevance.bystanders:
        verb = "runs" if len(relevance.bystanders) == 1 else "run"
        parts.append(f"whether {listed(relevance.bystanders, most=MOST)} {verb} first or last")
    return "; ".join(parts)


SECTION = Section("relevance", lambda message: relevance_lines(message.failure.relevance) if message.failure else ())
