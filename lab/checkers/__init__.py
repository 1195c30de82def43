"""Checkers: pure functions that judge the record of an execution. What they need is gathered by `lab.explore`.

To add one, write its file and add its line to `CHECKERS`; CONTRIBUTING.md shows both, and the contract suite in
`tests/contract` then runs over it.

May import: errors, scenario, model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from lab.checkers.checker import Checker, Need
from lab.errors import LabError, UsageError, defect
from lab.model.record import ExecutionRecord, Finding
from lab.model.table import Table

__all__ = ["CHECKERS", "Checker", "Need", "askable", "judged", "needed", "refuse_unknown_checks"]

CHECKERS = Table(
    Checker,
    "CHECKER",
    "lab.checkers.sharing",
    "lab.checkers.stalls",
    "lab.checkers.survival",
    "lab.checkers.unexpected",
    "lab.checkers.isolation.promises",
    "lab.checkers.deadlocks",
    "lab.checkers.stated",
    "lab.checkers.leaks",
    "lab.checkers.serial.objection",
)
"""The gravest first: an execution is reported under its first finding."""


def askable() -> dict[str, str]:
    """The checks that can be asked for by name, each with what it asks for."""
    return {name: checker.help for name, checker in CHECKERS.items() if checker.help}


def refuse_unknown_checks(asked: Iterable[str]) -> None:
    """Raise `UsageError` for a check that does not exist or cannot be asked for."""
    known = askable()
    for name in asked:
        if name not in known:
            raise UsageError(f"unknown check {name!r}; known are {', '.join(known)}")


def needed(asked: Iterable[str]) -> frozenset[Need]:
    """What an execution has to be recorded with for the checks that are asked for."""
    return frozenset(need for name in asked for need in CHECKERS[name].needs)


def judged(record: ExecutionRecord, asked: Collection[str] = ()) -> ExecutionRecord:
    """The execution with what the checkers object to, as far as it was recorded for them.

    A checker that fails itself is a check that was not done. What it objected to before stands, and the others judge.
    """
    findings: list[Finding] = []
    not_checked: list[str] = []
    for name, checker in CHECKERS.items():
        try:
            if checker.judges(record, asked):
                findings.extend(checker.check(record))
        except LabError:
            raise
        except Exception as error:  # noqa: BLE001 - a defect; the sentence names it
            not_checked.append(defect(f"do the check {name!r}", error))
    return replace(record, findings=tuple(findings), not_checked=(*record.not_checked, *not_checked))
