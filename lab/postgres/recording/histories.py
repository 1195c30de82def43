"""From the transactions of an execution to its history: the checkers' input.

The conditions of predicate reads are evaluated on every version of the rows that they are about; the result is a
`lab.model.history`. What an answer showed counts before what the snapshot would show: a row that was not among those
that matched was seen in some version that does not match, whichever that was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from lab.model.history import History, Operation, PredicateRead, Read, Status, Transaction, Version, Write
from lab.model.text import cut
from lab.postgres.recording.attempts import Attempts
from lab.postgres.recording.matches import Matches, described, statement
from lab.postgres.recording.operations import Attempt, Condition, Seen, Wrote
from lab.postgres.recording.questions import Answers, Question
from lab.postgres.recording.row_versions import Item, RowVersion

__all__ = ["MOST_ROWS", "history_of"]

MOST_ROWS = 500
"""Versions of one table beyond which its conditions are not asked; they count as not understood."""
LONGEST_QUERY = 100
"""Characters of a query in a sentence."""
LONGEST = 60
"""Characters of a value in a sentence."""


async def history_of(
    attempts: Attempts,
    keys: Mapping[str, tuple[str, ...]],
    matches: Matches,
    answers: Answers,
    mask: Callable[[str], str],
) -> tuple[History, tuple[str, ...]]:
    """The history, and the statements of which it does not know all reads. `mask` takes out what no schedule controls.

    Raises the driver's error when the database is gone.
    """
    rows = {
        table: list(attempts.versions_of(table)) for table in {each.reading.table for each in attempts.conditions()}
    }
    names = {each: described(each) for each in attempts.conditions() if len(rows[each.reading.table]) <= MOST_ROWS}
    documents = {table: [row.document for _, row in found] for table, found in rows.items()}
    await matches.ask({name: (each, documents[each.reading.table]) for each, name in names.items()})
    await answers.follow(attempts.questions(), attempts.items)
    builder = _Builder(attempts, keys, rows, names, matches, mask)
    return builder.history(), tuple(dict.fromkeys(map(mask, (*attempts.unseen, *builder.unseen))))


class _Builder:
    """A history in the making."""

    def __init__(
        self,
        attempts: Attempts,
        keys: Mapping[str, tuple[str, ...]],
        rows: Mapping[str, Sequence[tuple[Item, RowVersion]]],
        names: Mapping[Condition, str],
        matches: Matches,
        mask: Callable[[str], str],
    ) -> None:
        self._attempts = attempts
        self._keys = keys
        self._rows = rows
        self._names = names
        self._matches = matches
        self._mask = mask
        self._predicates: dict[str, frozenset[tuple[str, Version]]] = {}
        self._shown: dict[Item, tuple[str, ...]] = {}
        self.unseen: list[str] = []

    def history(self) -> History:
        last = max((each.session.ended for each in self._attempts.attempts), default=0)
        ended = sorted(self._attempts.attempts, key=lambda each: each.session.ended or last + 1)
        transactions = tuple(self._transaction(each) for each in ended)
        orders = {
            item.name: (tuple(row.version for _, row in item.installed),)
            for item in self._attempts.items
            if len(item.installed) > 1
        }
        return History(tuple(each for each in transactions if each.operations), orders, self._predicates)

    def _transaction(self, attempt: Attempt) -> Transaction:
        operations = tuple(said for each in attempt.operations for said in self._said(each))
        status = Status.COMMITTED if attempt.committed else Status.ABORTED
        level = attempt.session.level
        level = "READ COMMITTED" if level == "AUTOCOMMIT" else level
        return Transaction(attempt.name, operations, status, level, attempt.session.actor)

    def _said(self, each: Seen | Wrote | Condition | Question) -> Iterator[Operation]:
        if isinstance(each, Seen):
            if not each.item.is_only_looked_for:
                text = self._text(each.item, each.row)
                yield Read(each.item.name, each.row.version, each.step, text, _absent(each.row))
        elif isinstance(each, Wrote):
            text = self._text(each.item, each.row)
            yield Write(each.item.name, each.step, text, _absent(each.row), each.row.undone)
        elif isinstance(each, Question):
            yield from self._question(each)
        else:
            yield from self._condition(each)

    def _question(self, question: Question) -> Iterator[Operation]:
        """A row that was there, and whose value before or after matters, was read; whether there is one, looked for."""
        changed, seen = question.changed, question.seen
        if changed is None:
            self.unseen.append(" ".join(question.sent.text.split()))
            return
        read = dict.fromkeys(item for item, row in seen.items() if _rests_on(item, row, changed))
        yield from (Read(each.name, seen[each].version, question.step, self._text(each, seen[each])) for each in read)
        same = frozenset(
            (item.name, row.version)
            for item, row in (*seen.items(), *question.versions())
            if row not in changed or (item in read and row.values is not None)
        )
        name = shown = cut(self._mask(statement(question.sent)), LONGEST_QUERY)
        if self._predicates.get(shown, same) != same:
            shown = f"{name} (#{question.step})"
        self._predicates[shown] = same
        looked_at = tuple((item.name, row.version) for item, row in seen.items())
        yield PredicateRead(shown, looked_at, question.step, answer=True)

    def _condition(self, condition: Condition) -> Iterator[Operation]:
        name = self._names.get(condition)
        rows = self._rows[condition.reading.table]
        if name is None or any(self._matches.satisfied(name, row.document) is None for _, row in rows):
            self.unseen.append(" ".join(condition.sent.text.split()))
            return
        matching = {row for _, row in rows if self._matches.satisfied(name, row.document)}
        shown = self._mask(name)
        if shown not in self._predicates:
            self._predicates[shown] = frozenset((item.name, row.version) for item, row in rows if row in matching)
        seen = [(item, row) for item, row in condition.looked_at if row.values is not None]
        if condition.found is not None:
            found = condition.found
            seen = [(item, row) for item, row in seen if item not in found and row not in matching]
            seen += found.items()
        if condition.computes:
            for item, row in seen:
                if row in matching:
                    yield Read(item.name, row.version, condition.step, self._text(item, row))
        yield PredicateRead(shown, tuple((item.name, row.version) for item, row in seen), condition.step)

    # ------------------------------------------------------------------ values for people

    def _text(self, item: Item, row: RowVersion) -> str:
        """The value of a row's only column, or those of its columns that changed during the execution."""
        if row.values is None:
            return ""
        if item not in self._shown:
            self._shown[item] = self._telling(item)
        names = self._shown[item]
        if len(self._besides_key(item, row)) == 1:
            text = _plain(row.values[names[0]])
        else:
            text = ", ".join(f"{name}={_plain(row.values.get(name))}" for name in names)
        text = self._mask(text)
        return cut(text, LONGEST)

    def _besides_key(self, item: Item, row: RowVersion) -> list[str]:
        return [name for name in row.values or () if name not in self._keys[item.table]]

    def _telling(self, item: Item) -> tuple[str, ...]:
        rows = [row for row in item.all_versions() if row.values is not None]
        names = self._besides_key(item, rows[0])
        changed = tuple(name for name in names if len({str((row.values or {}).get(name)) for row in rows}) > 1)
        return changed or tuple(names)


def _rests_on(item: Item, seen: RowVersion, changed: AbstractSet[RowVersion]) -> bool:
    """Whether an answer rests on the values of a row: those before or after give another one."""
    order = [item.initial, *(each for _, each in item.installed)]
    place = order.index(seen) if seen in order else len(order)
    beside = order[max(place - 1, 0) : place + 2]
    return seen.values is not None and any(each in changed and each.values is not None for each in beside)


def _absent(row: RowVersion) -> bool:
    return row.values is None


def _plain(value: object) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
