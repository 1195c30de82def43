"""Objects to an execution whose results and rows no serial order of its actors gives."""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.checker import EVERY_REMEDY, Checker, Need
from lab.checkers.serial.equivalence import summary
from lab.model.record import ExecutionRecord, Finding
from lab.scenario.checks import SERIAL, serial_invariants_of

__all__ = ["CHECKER"]


def _objections(record: ExecutionRecord) -> Iterator[Finding]:
    """A finding for each invariant that asks for a serial order; for the default where the scenario states none."""
    if record.serial is None or not record.serial.differences:
        return
    for stated in serial_invariants_of(type(record.scenario), asked=True):
        yield Finding(SERIAL, stated.name, summary(record.serial), stated.location)


CHECKER = Checker(
    name=SERIAL,
    headline="NOT SERIALIZABLE",
    check=_objections,
    needs=frozenset({Need.SERIAL_RUNS}),
    help="some serial order gives the same results and rows",
    cured_by=EVERY_REMEDY,
    explained=True,
)
