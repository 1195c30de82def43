"""What a kind of remedy is: when it fits a failing execution, what to run, and its words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from lab.analysis.facts import Facts, Touch
from lab.model.record import ExecutionRecord
from lab.model.remedy import Price, Remedy, Tried
from lab.model.text import cut
from lab.model.trace import ActionKind
from lab.report.sql import statement_text
from lab.search.remedies.schema import unique_keys

__all__ = [
    "ATTEMPTS",
    "AUTOCOMMIT",
    "CODE",
    "READ_COMMITTED",
    "TABLES",
    "Kind",
    "levels_of",
    "listed",
    "looked_then_inserted",
    "looks_before_inserts",
    "shortened",
]

ATTEMPTS = 10
"""Of a retry loop. Two actors that refuse each other need two; more are for rings."""
AUTOCOMMIT = "AUTOCOMMIT"
"""The level of statements that are transactions of their own."""
READ_COMMITTED = "READ COMMITTED"
"""The level at which each statement sees what was committed before it, a wait for a lock included."""
CODE = "needs a change of the code"
"""Why advice is not run."""
TABLES = "needs a change of the tables"
LONGEST = 60
"""Characters of a statement in a sentence."""


def _none(*_: object) -> Iterator[Remedy]:
    return iter(())


def _no_advice(facts: Facts) -> Iterator[Tried]:
    return iter(())


def _no_words(remedy: Remedy, record: ExecutionRecord) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of remedy. That it fits says nothing about whether it helps; running it does."""

    name: str
    runs: Callable[[Facts], Iterable[Remedy]] = _none
    """What to run where it fits, the narrowest first; each changes no code of the user's."""
    follows: Callable[[Facts, Remedy, Price], Iterable[Remedy]] = _none
    """What to run right after another remedy, for what the executions under that one showed."""
    advises: Callable[[Facts], Iterable[Tried]] = _no_advice
    """What fits and cannot be run, with the reason."""
    idle: Callable[[Remedy, ExecutionRecord], str] = _no_words
    """Why a remedy could do nothing in an execution that was run under it; "" if it did something."""
    left: Callable[[Remedy, ExecutionRecord], str] = _no_words
    """What it left as it was in such an execution; "" for nothing."""


def levels_of(record: ExecutionRecord) -> set[str]:
    """The isolation levels at which statements were run."""
    steps = (step.action for step in record.trace if step.action.kind is ActionKind.STATEMENT)
    return {action.touches.level for action in steps if action.touches is not None}


def listed(names: Iterable[str]) -> str:
    """Names in the order of the alphabet."""
    return " and ".join(sorted(names))


def shortened(statements: Iterable[str]) -> str:
    """The first of some statements, and how many more there are."""
    texts = sorted(map(statement_text, statements))
    more = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
    return cut(texts[0], LONGEST) + more


def looked_then_inserted(facts: Facts) -> set[str]:
    """Tables in which an actor looks for rows that no unique key identifies, and then inserts one."""
    return {each.table for each in looks_before_inserts(facts)}


def looks_before_inserts(facts: Facts) -> list[Touch]:
    """Each such look."""
    looks: list[Touch] = []
    found: list[Touch] = []
    for each in facts.touches:
        if each.verb == "SELECT" and not _is_unique(facts, each):
            looks.append(each)
        elif each.verb == "INSERT" and each.access.writes:
            mine = [look for look in looks if (look.actor, look.table) == (each.actor, each.table)]
            found += [look for look in mine if look not in found]
    return found


def _is_unique(facts: Facts, read: Touch) -> bool:
    """Whether a unique key is over some of the columns that it looks by: another one would change nothing."""
    columns = {column for column, _ in read.access.rows.key}
    return any(key <= columns for key in unique_keys(facts.table(read.table)))
