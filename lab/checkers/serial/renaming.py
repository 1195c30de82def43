"""Whether two executions gave the same, up to one renaming of generated values for each sequence.

A request that was rolled back has used up an id, and who draws first is a matter of the schedule: so ids differ between
executions that did the same. They are equal if there is a one-to-one renaming of the values of each sequence under
which all final rows and all results are equal. The rows establish it: in a column that a sequence fills, or that leads
to one, a generated value is a name and is renamed. At any other place (a plain column, a text, a JSON document, a
result) two values are equal if they are equal, or if the renaming maps one to the other. No value is left out because
it happens to look like an id. An id of a row that is gone may be renamed in a result if the actors were shown both as
ids.

The search for a renaming is a search for an isomorphism of small labelled structures, by backtracking: results first,
since they bind names, then rows, those with most names bound first. Rows whose plain parts differ cannot be partners,
and that alone decides nearly every case. The search is bounded; what it could not decide is reported, and is not a
violation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto

from lab.checkers.serial.effects import UUID, Cell, Effects, Row, parts_of

__all__ = ["Answer", "compare", "result_fits", "rows_renamed"]

ATTEMPTS = 20_000
"""Pairs of rows that are tried before the search gives up: some tenths of a second."""
MOST_ROWS = 300
"""Rows with generated values on one side; more are not compared by search."""


class Answer(Enum):
    """Whether two executions gave the same."""

    SAME = auto()
    DIFFERENT = auto()
    UNDECIDED = auto()


class _GaveUp(Exception):
    """The bounds of the search were met."""


def compare(here: Effects, there: Effects) -> Answer:
    """Whether two executions gave the same results and rows, up to a renaming."""
    if here.rows == there.rows and _identical(here, there):
        return Answer.SAME
    try:
        return Answer.SAME if _Search(here, there).succeeds() else Answer.DIFFERENT
    except _GaveUp:
        return Answer.UNDECIDED


def rows_renamed(here: Effects, there: Effects) -> bool:
    """Whether the final rows alone are equal up to a renaming; also where the search gave up."""
    try:
        return _Search(here, there).succeeds(results=False)
    except _GaveUp:
        return True


def result_fits(here: Effects, there: Effects, actor: str) -> bool:
    """Whether rows and the result of one actor are equal up to a renaming; also where the search gave up."""
    try:
        return _Search(here, there).succeeds(only=actor)
    except _GaveUp:
        return True


def _identical(here: Effects, there: Effects) -> bool:
    cells = [[row.cells for row in each.rows] for each in (here, there)]
    return cells[0] == cells[1] and here.results == there.results


class _Search:
    """One search for a renaming. `_to` and `_fro` hold it: (origin, name) -> name, both ways."""

    def __init__(self, here: Effects, there: Effects) -> None:
        self._here, self._there = here, there
        self._to: dict[tuple[str, str], str] = {}
        self._fro: dict[tuple[str, str], str] = {}
        self._left = ATTEMPTS
        self._nameable = {value for side in (here, there) for values in side.names.values() for value in values}

    def succeeds(self, *, results: bool = True, only: str = "") -> bool:
        """Whether there is a renaming under which rows and results are equal."""
        groups = self._groups()
        if groups is None:
            return False
        names = [only] if only else list(self._here.results) if results else []
        if any(not self._alike(name) for name in names):
            return False
        texts = [(Cell(self._here.results[n].text), Cell(self._there.results[n].text)) for n in names]
        return any(self._results(texts, groups))

    # ------------------------------------------------------------------ what need not be searched

    def _alike(self, actor: str) -> bool:
        one, other = self._here.results[actor], self._there.results[actor]
        return (one.kind, one.sqlstate) == (other.kind, other.sqlstate)

    def _groups(self) -> list[tuple[list[Row], list[Row]]] | None:
        """Rows with names that can be partners, by what is plain in them; None if rows differ in what is plain."""
        ours, theirs = self._by_form(self._here), self._by_form(self._there)
        if {form: len(rows) for form, rows in ours.items()} != {form: len(rows) for form, rows in theirs.items()}:
            return None
        groups = [(rows, theirs[form]) for form, rows in ours.items() if any("\0" in (each or "") for each in form[1])]
        if sum(len(rows) for rows, _ in groups) > MOST_ROWS:
            raise _GaveUp
        return groups

    def _by_form(self, side: Effects) -> dict[tuple[str, tuple[str | None, ...]], list[Row]]:
        found: dict[tuple[str, tuple[str | None, ...]], list[Row]] = {}
        for row in side.rows:
            found.setdefault((row.table, tuple(map(self._form, row.cells))), []).append(row)
        return found

    def _form(self, cell: Cell | None) -> str | None:
        """A value with a mark in place of whatever may be a name."""
        if cell is None:
            return None
        parts = parts_of(cell)
        for place in range(1, len(parts), 2):
            if cell.origin or parts[place].startswith("<") or _canonical(parts[place]) in self._nameable:
                parts[place] = "\0"
        return "".join(parts)

    # ------------------------------------------------------------------ the search

    def _results(self, texts: list[tuple[Cell, Cell]], groups: list[tuple[list[Row], list[Row]]]) -> Iterator[bool]:
        if not texts:
            yield from self._rows([(row, rows) for own, rows in groups for row in own], set())
            return
        for _ in self._cells(*texts[0], in_result=True):
            yield from self._results(texts[1:], groups)

    def _rows(self, waiting: list[tuple[Row, list[Row]]], taken: set[int]) -> Iterator[bool]:
        """True for each way to pair the waiting rows with partners."""
        if not waiting:
            yield True
            return
        row, partners = most = max(waiting, key=lambda each: self._bound(each[0]))
        rest = [each for each in waiting if each is not most]
        for partner in sorted(partners, key=lambda each: each.cells != row.cells):
            if id(partner) in taken:
                continue
            self._left -= 1
            if self._left < 0:
                raise _GaveUp
            for _ in self._row(row.cells, partner.cells):
                yield from self._rows(rest, taken | {id(partner)})

    def _bound(self, row: Row) -> int:
        """How many of a row's names are bound already."""
        return sum(
            (cell.origin, part) in self._to for cell in row.cells if cell is not None for part in parts_of(cell)[1::2]
        )

    def _row(self, ours: Sequence[Cell | None], theirs: Sequence[Cell | None]) -> Iterator[None]:
        if not ours:
            yield
        elif ours[0] is None or theirs[0] is None:
            if ours[0] is theirs[0]:
                yield from self._row(ours[1:], theirs[1:])
        else:
            for _ in self._cells(ours[0], theirs[0]):
                yield from self._row(ours[1:], theirs[1:])

    def _cells(self, one: Cell, other: Cell, *, in_result: bool = False) -> Iterator[None]:
        """Each way to make two values equal; its bindings are undone when the next way is requested."""
        ours, theirs = parts_of(one), parts_of(other)
        if ours[::2] == theirs[::2] and one.origin == other.origin:
            yield from self._parts(list(zip(ours[1::2], theirs[1::2], strict=True)), one.origin, in_result=in_result)

    def _parts(self, pairs: list[tuple[str, str]], origin: str, *, in_result: bool) -> Iterator[None]:
        if not pairs:
            yield
            return
        for via in self._ways(*pairs[0], origin, in_result=in_result):
            ours, theirs = map(_canonical, pairs[0])
            new = bool(via) and (via, ours) not in self._to
            if new:
                self._to[via, ours], self._fro[via, theirs] = theirs, ours
            try:
                yield from self._parts(pairs[1:], origin, in_result=in_result)
            finally:
                if new:
                    del self._to[via, ours], self._fro[via, theirs]

    def _ways(self, one: str, other: str, origin: str, *, in_result: bool) -> Iterator[str]:
        """The origins by whose renaming two parts are equal, or can be made so; "" where they are equal anyway."""
        if one.startswith("<") or other.startswith("<"):
            if one.startswith("<") and other.startswith("<") and self._free(UUID, one, other):
                yield UUID
            return
        ours, theirs = _canonical(one), _canonical(other)
        if origin:
            if self._free(origin, ours, theirs):
                yield origin
        elif one == other:
            yield ""
        elif _written_alike(one, other):
            for each in sorted({*self._here.names, *self._here.shown}):
                if self._free(each, ours, theirs) and self._are_names(each, ours, theirs, in_result=in_result):
                    yield each

    def _free(self, origin: str, ours: str, theirs: str) -> bool:
        """Whether a renaming maps these, or may be made to."""
        to, fro = self._to.get((origin, ours)), self._fro.get((origin, theirs))
        return (to, fro) in ((None, None), (theirs, ours))

    def _are_names(self, origin: str, ours: str, theirs: str, *, in_result: bool) -> bool:
        """Whether rows establish that these are names; or, in a result, that the actors were shown them as ids."""
        here, there = self._here, self._there
        known = ours in here.names.get(origin, ()) and theirs in there.names.get(origin, ())
        gone = ours in here.shown.get(origin, ()) and theirs in there.shown.get(origin, ())
        return known or (in_result and gone)


def _canonical(part: str) -> str:
    """A number without its leading zeros, so that `00005` in a text is the id 5."""
    return part.lstrip("0") or "0" if part.isdigit() else part


def _written_alike(one: str, other: str) -> bool:
    """Whether two numbers can come from one format: of one width, or neither with leading zeros."""
    return len(one) == len(other) or not (one.startswith("0") or other.startswith("0"))
