"""What a checker is: a pure function over the record of an execution, and what others need to know of it."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from enum import StrEnum

from lab.model.record import ExecutionRecord, Finding
from lab.scenario.checks import serial_invariants_of
from lab.scenario.declare import Scenario

__all__ = ["EVERY_REMEDY", "Checker", "Need"]


class Need(StrEnum):
    """What a record holds only where somebody asked for it, since it costs time."""

    HISTORY = "history"
    """Who read and wrote which version of which row."""
    SERIAL_RUNS = "serial runs"
    """How the execution compares with serial runs of its actors."""

    def met_by(self, record: ExecutionRecord) -> bool:
        """Whether this record has it."""
        return (record.history if self is Need.HISTORY else record.serial) is not None


class _Everything:
    def __contains__(self, name: object) -> bool:
        return True


EVERY_REMEDY: Container[str] = _Everything()


@dataclass(frozen=True, slots=True)
class Checker:
    """Judges executions: every one that has what it needs, unless the check has to be asked for."""

    name: str
    headline: str
    """The first words of the failure message, in capitals."""
    check: Callable[[ExecutionRecord], Iterable[Finding]]
    """What it objects to. Pure and deterministic; each finding has the checker's name and a sentence that must hold."""
    needs: frozenset[Need] = frozenset()
    help: str = ""
    """What `--check NAME` asks for, as a sentence without a capital and a full stop; "" if nobody can ask for it."""
    waits_to_be_asked: bool = False
    """Judges only where it is asked for by name."""
    cured_by: Container[str] = frozenset()
    """The kinds of remedies, by name, that may cure what it objects to."""
    explained: bool = False
    """An anomaly in the history explains its finding, and is then the better headline."""
    race: bool = True
    """What it objects to comes of actors that meet. Of any other, a report says where it is there without overlap."""
    summary: str = ""
    """Stands in the headline instead of a finding's message where a section below shows more than the message."""

    def judges(self, record: ExecutionRecord, asked: Container[str]) -> bool:
        """Whether it judges this execution."""
        wanted = self.name in asked or not self.waits_to_be_asked
        return wanted and all(need.met_by(record) for need in self.needs)

    def must_be_asked(self, scenario: Scenario) -> bool:
        """Whether a replay of this scenario judges by it only when it is asked for by name."""
        by_serial_runs = Need.SERIAL_RUNS in self.needs and not serial_invariants_of(type(scenario))
        return self.waits_to_be_asked or by_serial_runs
