"""INVARIANTS.md as text, from what was run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.scenario.claims import Entry

__all__ = ["document"]

HEAD = """\
# Invariants

Written by `lab invariants --write` from the scenarios and from what was run; CI holds it to them with
`lab invariants --check`. Every bug below is a planted variant in `scenarios/` that the lab finds by searching, and
every token replays it on your machine: `lab replay TOKEN`.

## Database Transaction Domain
"""


def document(entries: Sequence[Entry]) -> str:
    """The whole document as Markdown."""
    details = (line for number, entry in enumerate(entries, 1) for line in _entry(number, entry))
    return "\n".join([HEAD, *_table(entries), "", *details])


def _table(entries: Sequence[Entry]) -> Iterator[str]:
    yield "| # | invariant | ACID class | holds at | bugs found |"
    yield "|---|---|---|---|---|"
    for number, entry in enumerate(entries, 1):
        levels = ", ".join(entry.holds_at) or "none"
        yield f"| {number} | {entry.claim.title} | {entry.claim.acid} | {levels} | {len(entry.bugs)} |"


def _entry(number: int, entry: Entry) -> Iterator[str]:
    claim = entry.claim
    yield f"### {number}. {claim.title}"
    yield ""
    yield f"- **Invariant**: {entry.statement}"
    yield f"- **Scenario**: `{entry.target}`, written for {entry.isolation}"
    yield f"- **Test**: `{claim.test}`"
    yield f"- **Critical**: yes: {claim.critical}"
    yield f"- **ACID class**: {claim.acid}"
    for bug in entry.bugs:
        yield f"- **Bug found**: `{bug.target}`: {bug.happened}"
        yield f"  - Root cause: {bug.cause}"
        yield f"  - Fix: {bug.fix}"
        yield f"  - **Replay**: `lab replay {bug.token}`"
    yield f"- **max_examples**: {claim.max_examples}"
    yield "- **Isolation levels, as run**:"
    for level, seen in entry.levels:
        yield f"  - {level}: {seen}"
    yield ""
