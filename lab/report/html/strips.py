"""The versions of each row: who made which, when it was there for others, and who saw it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lab.model.history import INITIAL, PredicateRead, Read, Version, Write
from lab.model.trace import Trace
from lab.report.html.tenures import Tenure

__all__ = ["RowVersion", "Strip", "strips"]

ABSENT = "no row"
THERE = "there: only its key was read or written"
UNKNOWN = "value not known: nobody read it"


@dataclass(frozen=True, slots=True)
class RowVersion:
    """One version of a row. `writer` is "" for what the setup left; steps are numbers, 0 for none."""

    text: str
    writer: str = ""
    step: int = 0
    there: int = 0
    """The step after which others may see it; 0 for what the setup left and for what never was."""
    gone: int = 0
    """The step that took it back, if one did."""
    ends_by: str = ""
    seen: tuple[tuple[str, int], ...] = ()
    """Who saw it, and in which step."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A row and its versions, in the order in which they were written."""

    item: str
    versions: tuple[RowVersion, ...]


def strips(trace: Trace, known: Sequence[Tenure]) -> tuple[Strip, ...]:
    """A strip for each row that somebody read or wrote, in the order in which they were touched first."""
    items: dict[str, None] = {}
    for _, operation in _operations(known):
        if isinstance(operation, PredicateRead):
            items.update(dict.fromkeys(item for item, _ in operation.seen))
        else:
            items.setdefault(operation.item)
    seen = _seen(known)
    texts = {**_inserted(trace, known), **_texts(known)}
    return tuple(Strip(item, tuple(_versions(item, known, seen, texts))) for item in items)


def _operations(known: Sequence[Tenure]) -> Iterator[tuple[Tenure, Read | Write | PredicateRead]]:
    all_of = ((each, operation) for each in known for operation in each.transaction.operations)
    yield from sorted(all_of, key=lambda pair: pair[1].step)


Key = tuple[str, Version]


def _seen(known: Sequence[Tenure]) -> Mapping[Key, tuple[tuple[str, int], ...]]:
    found: dict[Key, dict[tuple[str, int], None]] = {}
    for tenure, operation in _operations(known):
        if isinstance(operation, Read):
            found.setdefault((operation.item, operation.version), {})[tenure.actor, operation.step] = None
        elif isinstance(operation, PredicateRead):
            for item, version in operation.seen:
                found.setdefault((item, version), {})[tenure.actor, operation.step] = None
    return {key: tuple(each) for key, each in found.items()}


def _texts(known: Sequence[Tenure]) -> Mapping[Key, str]:
    """What readers were shown of each version."""
    return {
        (read.item, read.version): ABSENT if read.absent else read.text or THERE
        for _, read in _operations(known)
        if isinstance(read, Read)
    }


def _inserted(trace: Trace, known: Sequence[Tenure]) -> Mapping[Key, str]:
    """Rows whose first version an INSERT made: before, there were none."""
    first: dict[str, int] = {}
    for _, write in _operations(known):
        if isinstance(write, Write):
            first.setdefault(write.item, write.step)
    statements = {step.number: step.action.text.lstrip()[:6].upper() for step in trace}
    return {(item, INITIAL): ABSENT for item, step in first.items() if statements.get(step) == "INSERT"}


def _versions(
    item: str, known: Sequence[Tenure], seen: Mapping[Key, tuple[tuple[str, int], ...]], texts: Mapping[Key, str]
) -> Iterator[RowVersion]:
    first = (item, INITIAL)
    yield RowVersion(texts.get(first, UNKNOWN), seen=seen.get(first, ()))
    written: list[RowVersion] = []
    for tenure in known:
        number = 0
        for operation in tenure.transaction.operations:
            if isinstance(operation, Write) and operation.item == item:
                number += 1
                key = (item, Version(tenure.transaction.id, number))
                written.append(_written(operation, tenure, seen.get(key, ())))
    yield from sorted(written, key=lambda each: each.step)


def _written(write: Write, tenure: Tenure, seen: tuple[tuple[str, int], ...]) -> RowVersion:
    there, gone, ends_by = tenure.ended, 0, tenure.ends_by
    if write.undone is not None:
        there, gone, ends_by = 0, write.undone, "ROLLBACK TO"
    elif not tenure.transaction.committed:
        there, gone = 0, tenure.ended
    return RowVersion(
        "deleted" if write.dead else write.text or THERE, tenure.actor, write.step, there, gone, ends_by, seen=seen
    )
