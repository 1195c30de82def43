"""Breaks two checks of the lab's, and its remedies, as it is imported, so that a command meets a defect there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from scenarios.counter import Counted, LostCount

from lab.checkers import CHECKERS, Checker
from lab.model.record import ExecutionRecord, Finding
from lab.search.remedies import trials


def fail(record: ExecutionRecord, *more: object) -> Iterable[Finding]:
    raise KeyError("of the lab")


def broken(checker: Checker) -> Checker:
    return replace(checker, check=fail)


trials.Facts = fail
CHECKERS._values.update(sharing=broken(CHECKERS["sharing"]), isolation=broken(CHECKERS["isolation"]))


@dataclass(frozen=True)
class CountedHere(Counted):
    """As it is, under checkers that fail."""


@dataclass(frozen=True)
class LostHere(LostCount):
    """The same."""
