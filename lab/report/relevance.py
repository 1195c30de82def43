"""What a failure needed, what it did not, and what would have passed, in a line each. Only what was run is claimed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from lab.model.record import Relevance
from lab.model.text import count, listed
from lab.report.section import WIDTH, Message, Section

__all__ = ["SECTION", "irrelevant_text", "needed_text", "passes_text", "relevance_lines"]

MOST = 6
"""Claims of one kind that are spelled out."""


def relevance_lines(relevance: Relevance, *, at_least: int = 0, width: int = WIDTH) -> Iterator[str]:
    """Lines for the failure message; nothing if nothing is claimed. `at_least`: see `needed_text`."""
    lines = (
        ("Needed: ", needed_text(relevance, at_least=at_least)),
        ("Irrelevant: ", irrelevant_text(relevance)),
        ("Passes if ", passes_text(relevance)),
    )
    for name, text in lines:
        if text:
            yield from textwrap.wrap(f"{name}{text}", width, subsequent_indent="  ")


def needed_text(relevance: Relevance, *, at_least: int = 0) -> str:
    """For example "the preemption after #1", "the fault #3"; "" for nothing.

    `at_least`: every schedule with fewer preemptions was run and broke nothing of the kind, so that so many are needed
    though none by itself. Where nothing else is, it is the order without which one passed.
    """
    parts = []
    if relevance.preemptions:
        parts.append(f"{_counted('preemption', relevance.preemptions)} after {_numbers(relevance.preemptions)}")
    elif at_least:
        parts.append(count(at_least, "preemption"))
    if relevance.faults:
        parts.append(f"{_counted('fault', relevance.faults)} {_numbers(relevance.faults)}")
    if relevance.breakpoints:
        parts.append(f"{_counted('pause', relevance.breakpoints)} in {_numbers(relevance.breakpoints)}")
    if not parts and relevance.passes:
        return listed(f"#{each.before} before #{each.step}" for each in relevance.passes)
    return ", and ".join(parts)


def _counted(noun: str, numbers: Sequence[int]) -> str:
    return f"the {noun}" if len(numbers) == 1 else f"the {noun}s"


def _numbers(numbers: Sequence[int]) -> str:
    return listed([f"#{number}" for number in numbers], most=MOST)


def passes_text(relevance: Relevance) -> str:
    """For example "#3 comes before #1"; "" where no execution passed, or none that could be put so."""
    first: dict[int, tuple[str, ...]] = {}
    for each in relevance.passes:
        onward = (f"all that {each.onward} does then",) if each.onward else ()
        first[each.before] = (*first.get(each.before, ()), f"#{each.step}", *onward)
    then: dict[tuple[str, ...], list[str]] = {}
    for before, those in first.items():
        then.setdefault(those, []).append(f"#{before}")
    return listed(
        f"{listed(those)} {'comes' if len(those) == 1 else 'come'} before {listed(befores)}"
        for those, befores in then.items()
    )


def irrelevant_text(relevance: Relevance) -> str:
    """For example "the order of #1 and #2, of #4 and #5; whether cleo runs first or last"; "" for nothing.

    Two steps around a preemption that is needed are left out. Turned, they have it behind the other one, and it would
    read as if it were not needed.
    """
    parts = []
    shown = [f"of #{one} and #{other}" for one, other in relevance.swaps if one not in relevance.preemptions]
    if shown:
        parts.append(f"the order {listed(shown, most=MOST, last=', ')}")
    if relevance.bystanders:
        verb = "runs" if len(relevance.bystanders) == 1 else "run"
        parts.append(f"whether {listed(relevance.bystanders, most=MOST)} {verb} first or last")
    return "; ".join(parts)


def _relevance(message: Message) -> Iterator[str]:
    if failure := message.failure:
        yield from relevance_lines(failure.relevance, at_least=failure.needed_preemptions, width=message.width)


SECTION = Section("relevance", _relevance)
