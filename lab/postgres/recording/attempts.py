"""From the journal of an execution to its transactions: who read and who wrote which version of which row.

Which versions satisfy the condition of a predicate read is still open here: `histories` beside this file finds out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from lab.model.history import INITIAL
from lab.model.text import key_text
from lab.model.trace import ActionKind
from lab.postgres.connections.journal import Journal, Mark, Sent
from lab.postgres.recording.catalogued import Catalogued
from lab.postgres.recording.operations import Attempt, Condition, Seen, Wrote
from lab.postgres.recording.questions import Question, question_of
from lab.postgres.recording.row_versions import Item, Row, RowVersion, Values, parsed
from lab.postgres.statements.readings import Reading, Role, reading_of

__all__ = ["Attempts", "attempts_of"]

ONE_SNAPSHOT = frozenset({"REPEATABLE READ", "SERIALIZABLE"})
LATEST = 1 << 62
"""Later than everything: a write meets the row as it is now."""


@dataclass(slots=True)
class Attempts:
    """The transactions of an execution, as they began. `unseen` are statements whose reads are not known."""

    items: list[Item]
    attempts: list[Attempt]
    unseen: tuple[str, ...]

    def conditions(self) -> Iterator[Condition]:
        """The predicate reads."""
        for attempt in self.attempts:
            yield from (each for each in attempt.operations if isinstance(each, Condition))

    def questions(self) -> Iterator[Question]:
        """The reads of whatever else there is."""
        for attempt in self.attempts:
            yield from (each for each in attempt.operations if isinstance(each, Question))

    def versions_of(self, table: str) -> Iterator[tuple[Item, RowVersion]]:
        """Every version of every row of a table, but for those that say there is no row."""
        for item in self.items:
            if item.table == table:
                yield from ((item, row) for row in item.all_versions() if row.values is not None)


def attempts_of(
    journal: Journal,
    rows: Sequence[tuple[str, str]],
    known: Catalogued,
) -> Attempts:
    """Go through a journal. `rows` are the initial ones, (table, JSON object)."""
    return _Reader(rows, known).read(journal)


class _Reader:
    def __init__(
        self,
        rows: Sequence[tuple[str, str]],
        known: Catalogued,
    ) -> None:
        self._catalog = known
        self._keys, self._relations = known.keys, known.relations
        self._rows: dict[tuple[str, tuple[str, ...]], Row] = {}
        self._of: dict[str, list[Row]] = {}
        self._unseen: dict[str, None] = {}
        for table, text in rows:
            values = parsed(text)
            if (row := self._row(known.beyond.whole(table), values)) is not None:
                row.items[0].initial = RowVersion(INITIAL, values)

    def _row(self, table: str, values: Values) -> Row | None:
        names = self._keys.get(table)
        if names is None or any(name not in values or values[name] is None for name in names):
            return None
        return self._known(table, tuple(key_text(values[name]) for name in names))

    def _known(self, table: str, key: tuple[str, ...]) -> Row:
        row = self._rows.get((table, key))
        if row is None:
            row = self._rows[table, key] = Row(table, key)
            self._of.setdefault(table, []).append(row)
        return row

    def read(self, journal: Journal) -> Attempts:
        sessions = [each for each in journal.sessions if each.events]
        attempts = [Attempt(f"T{number}", each) for number, each in enumerate(sessions, 1)]
        happened: list[tuple[int, int, Attempt, Sent | Mark | None]] = []
        for attempt in attempts:
            time = 0
            for one in attempt.session.events:
                time = one.answered if isinstance(one, Sent) else time
                happened.append((time, len(happened), attempt, one))
            happened.append((attempt.session.ended or journal.time + 1, len(happened), attempt, None))
        for _, _, attempt, event in sorted(happened, key=lambda each: each[:2]):
            if event is None:
                self._end(attempt)
            elif isinstance(event, Mark):
                _mark(attempt, event)
            else:
                self._statement(attempt, event)
        items = [item for row in self._rows.values() for item in row.items]
        return Attempts(items, attempts, tuple(self._unseen))

    def _end(self, attempt: Attempt) -> None:
        session = attempt.session
        written = dict.fromkeys(each.item for each in attempt.operations if isinstance(each, Wrote))
        # A session that is closed after it has read rolls back, and its client uses what it read. At SERIALIZABLE
        # PostgreSQL promises nothing to a transaction that is not committed.
        used = bool(session.ended) and not session.broken and not attempt.writes and session.level != "SERIALIZABLE"
        attempt.committed = session.committed or used
        if session.committed:
            for item in written:
                if (last := item.own(attempt)) is not None:
                    item.installed.append((attempt.session.ended, last))

    def _statement(self, attempt: Attempt, sent: Sent) -> None:
        reading = reading_of(sent.context, sent.text, self._keys, sent.schema, self._catalog.beyond)
        if attempt.session.level in ONE_SNAPSHOT:
            attempt.snapshot = attempt.snapshot or sent.sent
        attempt.writes |= reading.writes or bool(sent.written)
        if not reading.understood:
            self._ask(attempt, sent)
        written = [parsed(detail) for detail in sent.written]
        replaced = dict(self._replaced(attempt, written, reading.table)) if reading.writes else {}
        returned = {} if reading.writes else dict(self._returned(attempt, sent, reading))
        for row, item in returned.items():
            attempt.operations.append(Seen(item, row, sent.step))
        if reading.key:
            self._by_key(attempt, sent, reading, {*returned.values(), *replaced})
        elif reading.table:
            self._by_condition(attempt, sent, reading, returned, replaced)
        if reading.writes and reading.computes:
            attempt.operations += [Seen(item, row, sent.step) for item, row in replaced.items()]
        for _, relation, old, new in written:
            self._write(attempt, sent.step, self._relations.get(relation, ""), old, new)
        if any(self._relations.get(each[1]) in self._catalog.beyond.looking for each in written):
            self._unseen[" ".join(sent.text.split())] = None

    # ------------------------------------------------------------------ reads

    def _ask(self, attempt: Attempt, sent: Sent) -> None:
        """What a statement of any kind read, is asked of PostgreSQL afterwards, where that can be."""
        times = dict.fromkeys([self._time(attempt, sent, latest=False), self._time(attempt, sent, latest=True)])
        items = [item for rows in self._of.values() for row in rows for item in row.items]
        snapshots = [{item: item.visible(time, attempt) for item in items} for time in times]
        question = question_of(sent, self._catalog, snapshots)
        if question is None:
            self._unseen[" ".join(sent.text.split())] = None
        else:
            attempt.operations.append(question)

    def _time(self, attempt: Attempt, sent: Sent, *, latest: bool) -> int:
        """When the snapshot was taken; `latest` for rows that are read anew after the wait for their lock."""
        if attempt.snapshot:
            return attempt.snapshot
        return sent.answered if latest else sent.sent

    def _returned(self, attempt: Attempt, sent: Sent, reading: Reading) -> Iterator[tuple[RowVersion, Item]]:
        """The rows in the answer whose keys it holds, in the versions that the client saw."""
        time = self._time(attempt, sent, latest=reading.locks)
        for role in reading.roles:
            taken: set[Item] = set()
            for record in sent.rows:
                values = {name: record[place] for place, name in role.columns if place < len(record)}
                if (row := self._row(role.table, values)) is not None:
                    item, version = row.seen(values, time, attempt, taken)
                    taken.add(item)
                    yield version, item

    def _replaced(
        self, attempt: Attempt, written: Sequence[tuple[str, int, Values, Values]], table: str
    ) -> Iterator[tuple[Item, RowVersion]]:
        """The rows that a statement changed, in the versions that it found."""
        for _, relation, old, _ in written:
            if old is not None and self._relations.get(relation) == table:
                row = self._row(table, old)
                if row is not None:
                    yield row.seen(old, LATEST, attempt)

    def _by_key(self, attempt: Attempt, sent: Sent, reading: Reading, found: AbstractSet[Item]) -> None:
        """A statement whose condition is a key: what it read of that row, if it is not among those `found` already."""
        time = self._time(attempt, sent, latest=reading.locks)
        for parameters in sent.context.compiled_parameters or ():
            row = self._known(reading.table, tuple(key_text(parameters[name]) for _, name in reading.key))
            if not found.isdisjoint(row.items):
                continue
            if reading.writes or not sent.rows:
                attempt.operations += [Seen(*each, sent.step) for each in row.missed(time, attempt)]
            elif reading.roles or reading.computes:
                values = _values(reading.roles[0], sent.rows[0]) if reading.roles else {}
                attempt.operations.append(Seen(*row.seen(values, time, attempt), sent.step))

    def _by_condition(
        self,
        attempt: Attempt,
        sent: Sent,
        reading: Reading,
        returned: Mapping[RowVersion, Item],
        replaced: Mapping[Item, RowVersion],
    ) -> None:
        time = self._time(attempt, sent, latest=False)
        items = [item for row in self._of.get(reading.table, ()) for item in row.items]
        looked_at = [(item, item.visible(time, attempt)) for item in items]
        found: dict[Item, RowVersion] | None = None
        if reading.writes:
            found = dict(replaced)
        elif reading.complete:
            found = {item: row for row, item in returned.items()}
        computes = reading.computes and not reading.writes
        sets = len(sent.context.compiled_parameters)
        if sets > 1:
            found = None  # it is not known which set found which row
        attempt.operations += [
            Condition(sent, reading, sent.step, looked_at, found, computes, number) for number in range(sets)
        ]

    # ------------------------------------------------------------------ writes

    def _write(self, attempt: Attempt, step: int, table: str, old: Values | None, new: Values | None) -> None:
        before = self._row(table, old) if old is not None else None
        after = self._row(table, new) if new is not None else None
        replaced = before.seen(old, LATEST, attempt)[0] if before is not None and old is not None else None
        if replaced is not None and before is not after:
            attempt.operations.append(Wrote(replaced, replaced.add(attempt, attempt.name, None), step))
        if after is not None:
            item = replaced if replaced is not None and before is after else after.inserted(attempt, LATEST)
            attempt.operations.append(Wrote(item, item.add(attempt, attempt.name, new), step))


def _values(role: Role, record: Sequence[object]) -> dict[str, object]:
    return {name: record[place] for place, name in role.columns if place < len(record)}


def _mark(attempt: Attempt, mark: Mark) -> None:
    """A savepoint: going back to it undoes what was written since, and keeps the savepoint."""
    if mark.kind is ActionKind.SAVEPOINT:
        attempt.points.append((mark.name, len(attempt.operations)))
        return
    place = next((at for at in reversed(range(len(attempt.points))) if attempt.points[at][0] == mark.name), None)
    if place is None:
        return
    since = attempt.points[place][1]
    if mark.kind is ActionKind.RELEASE:
        del attempt.points[place:]
        return
    del attempt.points[place + 1 :]
    for each in attempt.operations[since:]:
        if isinstance(each, Wrote) and each.row.undone is None:
            each.row.undone = mark.step
