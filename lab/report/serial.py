"""How an execution differs from every serial order of its actors, as lines of the failure message."""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.serial.equivalence import after, sentence
from lab.report.limits import not_compared
from lab.report.section import Message, Section

__all__ = ["SECTION"]

DIFFERENCES_SHOWN = 6
OF_THE_DATABASE = (
    "each actor was one transaction at SERIALIZABLE, which promises a serial order: a finding about the database"
)


def _serial(message: Message) -> Iterator[str]:
    """The nearest serial order with every difference, and what was not compared; empty where an order agrees."""
    record = message.record
    if record.database_fault is not None:
        yield OF_THE_DATABASE
    judgement = record.serial or record.database_fault
    if judgement is None or not judgement.differences:
        return
    tried, order = judgement.tried, after(judgement.order)
    yield f"does not give the same result as any serial order ({tried} tried); the nearest, {order}, differs in:"
    for difference in judgement.differences[:DIFFERENCES_SHOWN]:
        yield f"  {sentence(difference, judgement.order)}"
    if (more := len(judgement.differences) - DIFFERENCES_SHOWN) > 0:
        yield f"  and {more} more"
    if judgement.unusable:
        yield f"not tried, since they stall or do not end: {judgement.unusable} more"
    yield from not_compared(judgement.normalised)


SECTION = Section("serial", _serial, heading="Why")
