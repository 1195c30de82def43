"""How an execution ended, in texts that can be compared: what no schedule controls is left out."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from sqlalchemy.exc import DBAPIError

from lab.checkers.isolation.promises import anomalies_in
from lab.checkers.serial.composite import composite_of, fields_of
from lab.engine.clock import Clock
from lab.engine.plan import Finished
from lab.engine.watchdog import Watchdog, watchdog
from lab.errors import DEFECTS, UncontrolledError, defect
from lab.model.decision import TIME, Go, Strike
from lab.model.history import History
from lab.model.nature import UNCONTROLLED, WHOLE, Path, Places, Taint, covered, without_indexes
from lab.model.outcome import ActorResult, Ending, Mask, Outcome, ResultKind
from lab.model.trace import Step, Trace
from lab.postgres.database import Database
from lab.postgres.recording.results import aborted_or_raised, is_connection_loss, returned
from lab.postgres.tables.reset import Snapshot

__all__ = [
    "CLOCKS_DIFFER",
    "Comparable",
    "Recorded",
    "clock_notes",
    "recorded",
    "result_of",
    "values_of",
]

CLOCKS_DIFFER = (
    "a sleep or timeout of an actor moved the clock that actors read; the server's clock, which was used too, did not "
    "move with it, so the two differ"
)
_SERVERS_CLOCK = re.compile(
    r"\b(?:(?:now|(?:clock|statement|transaction)_timestamp|timeofday)\s*\(|(?:current_(?:timestamp|time|date)"
    r"|localtime(?:stamp)?)\b)",
    re.IGNORECASE,
)

Words = Callable[[str], str]


@dataclasses.dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of who read and wrote what: no history where its tables were dropped, or the lab is wrong itself.

    `unseen` are the statements of which not all reads are known, `defects` say that the lab is wrong.
    """

    history: History | None = None
    unseen: tuple[str, ...] = ()
    anomalies: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()


async def recorded(database: Database, snapshot: Snapshot, mask: Words) -> Recorded:
    """The history of an execution, with its anomalies."""
    try:
        history, unseen = await database.history(snapshot, mask)
        return Recorded(history, unseen, anomalies_in(history))
    except DEFECTS as error:
        return Recorded(defects=(defect("record who read and wrote what", error),))
    except DBAPIError as error:
        if not database.journal.altered or is_connection_loss(error):
            raise
        return Recorded()


def result_of(
    finished: Finished,
    name: str,
    mask: Words,
    missed: Callable[[str], object],
    place: Callable[[Path, str], str] | None = None,
) -> ActorResult:
    """What an actor, or a task whose error nobody took, returned or raised. `missed` and `place`: see `described`."""
    dog = watchdog.get() or Watchdog()
    with dog.during(f"the text of what {name} raised or returned", "step"):  # it comes from code of the user's
        result = _result_of(finished, name, mask, missed, place)
    if dog.overdue:
        raise UncontrolledError(dog.overdue)
    return result


def _fired_by_the_schedule(trace: Trace, late: str) -> bool:
    """Whether a timeout of this actor fired where it could have gone on, or between two steps of another.

    One that fires while it sleeps or waits alone is its own doing: it does so in every order.
    """
    steps: dict[str, list[int]] = {}
    for step in trace:
        steps.setdefault(_root(step.actor), []).append(step.number)
    others = [(numbers[0], numbers[-1]) for name, numbers in steps.items() if name not in ("", late)]
    for step in trace:
        if step.chosen == Strike(TIME, late):
            could_go_on = any(isinstance(each, Go) and _root(each.actor) == late for each in step.alternatives)
            if could_go_on or any(first < step.number < last for first, last in others):
                return True
    return False


def _root(actor: str) -> str:
    return actor.partition("/")[0]


def _result_of(
    finished: Finished,
    name: str,
    mask: Words,
    missed: Callable[[str], object],
    place: Callable[[Path, str], str] | None,
) -> ActorResult:
    if name in finished.errors:
        struck = _root(name) in finished.struck
        late = _fired_by_the_schedule(finished.trace, name)
        return aborted_or_raised(finished.errors[name], finished.sessions, mask, struck=struck, late=late)
    if name in finished.values:
        return returned(finished.values[name], mask, missed, place)
    return ActorResult(ResultKind.UNFINISHED, "did not end")


def values_of(step: Step) -> tuple[tuple[str, ...], ...]:
    """The parameters of a step by row; of a statement that is executed once, there is one row."""
    parameters = step.action.parameters
    if any(isinstance(each, tuple) for each in parameters):
        return tuple(tuple(map(str, each)) if isinstance(each, tuple) else (str(each),) for each in parameters)
    return (tuple(map(str, parameters)),)


def clock_notes(trace: Trace, mask: Mask, clock: Clock) -> Iterator[str]:
    """That the server's clock did not move with the actors', where one of them slept and the server's was read."""
    asked = any(_SERVERS_CLOCK.search(step.action.text) for step in trace if step.result is not None)
    if clock.time.passed and not clock.server_follows and (mask.servers_clock or asked):
        yield CLOCKS_DIFFER


class Comparable:
    """Makes of one execution what is compared: first of its trace, which says in which order UUIDs were met.

    `methods`: actor -> its method.
    """

    def __init__(self, mask: Mask, places: Places, methods: Mapping[str, str]) -> None:
        self._mask = mask
        self._places = places
        self._methods = methods
        self._taint = Taint()

    def text(self, text: str) -> str:
        """A text at a place of which nothing is known."""
        return self._mask(self._taint(text))

    def _at(self, text: str, paths: frozenset[Path] | None) -> str:
        """A text at a place that may be known to differ by nature."""
        if paths is None:
            return self.text(text)
        return covered(self._mask.quietly(self._taint(text)), paths)

    # ------------------------------------------------------------------ the trace

    def trace(self, trace: Trace) -> Trace:
        """The trace without what no schedule controls, in statements, bound values and results."""
        return dataclasses.replace(trace, steps=tuple(map(self._step, trace.steps)))

    def _step(self, step: Step) -> Step:
        action, result = step.action, step.result
        wait = step.wait and dataclasses.replace(step.wait, target=self.text(step.wait.target))
        text = self._taint(action.text)
        parameters = self._parameters(step, text)
        if parameters != action.parameters or text != action.text:
            action = dataclasses.replace(action, text=text, parameters=parameters)
        if result is not None and result.rows:
            rows = tuple(self._row(text, row) for row in result.rows)
            if rows != result.rows:
                result = dataclasses.replace(result, rows=rows)
        return dataclasses.replace(step, action=action, result=result, wait=wait)

    def _parameters(self, step: Step, text: str) -> tuple[object, ...]:
        places = self._places.parameters

        def row(values: Sequence[str]) -> tuple[str, ...]:
            return tuple(self._at(each, places.get((text, place))) for place, each in enumerate(values))

        if any(isinstance(each, tuple) for each in step.action.parameters):
            return tuple(map(row, values_of(step)))
        return row(values_of(step)[0])

    def _row(self, text: str, row: Sequence[str]) -> tuple[str, ...]:
        return tuple(self._cell(value, self._places.results.get((text, place))) for place, value in enumerate(row))

    def _cell(self, value: str, paths: frozenset[Path] | None) -> str:
        if paths is None or value == "None":
            return self.text(value)
        self._taint.add(value)
        return covered(self._mask.quietly(value), paths)

    # ------------------------------------------------------------------ the outcome

    def outcome(self, finished: Finished, rows: Mapping[str, tuple[str, ...]]) -> Outcome:
        """What each actor returned or raised, and tasks of theirs whose errors nobody took; and the final rows."""
        tasks = [name for name in finished.errors if name not in finished.trace.actors]
        results = {name: self._result(finished, name) for name in (*tasks, *finished.trace.actors)}
        ending = finished.ending
        if ending is Ending.COMPLETED and any(r.sqlstate == "40P01" for r in results.values()):
            ending = Ending.DEADLOCKED
        tables = {table: self._rows(table, texts) for table, texts in rows.items()}
        struck = tuple(name for name in finished.trace.actors if name in finished.struck)
        return Outcome(ending, results, tables, tuple(sorted(self._mask.found)), self._places.names, struck)

    def _result(self, finished: Finished, name: str) -> ActorResult:
        method = self._methods.get(name.partition("/")[0], "")
        paths = self._places.returned.get(method)
        if paths is None or name not in finished.values:
            result = result_of(finished, name, self.text, self._miss)
            return self._error(result) if method in self._places.errors and result.error is not None else result

        def place(path: Path, text: str) -> str:
            return UNCONTROLLED if path in paths or without_indexes(path) in paths else text

        result = result_of(finished, name, self._quiet, self._miss, place)
        return dataclasses.replace(result, text=UNCONTROLLED) if paths >= WHOLE else result

    def _quiet(self, text: str) -> str:
        return self._mask.quietly(self._taint(text))

    def _error(self, result: ActorResult) -> ActorResult:
        """An error of which only the type is compared."""
        kind = result.text.partition(":")[0]
        return dataclasses.replace(result, text=f"{kind}: {UNCONTROLLED}", detail=UNCONTROLLED if result.detail else "")

    def _miss(self, kind: str) -> None:
        self._mask.found.add(f"results of type {kind}")

    def _rows(self, table: str, texts: Sequence[str]) -> tuple[str, ...]:
        if table not in self._places.tables:
            return tuple(map(self.text, texts))
        columns = self._places.columns
        rows = [fields_of(text) for text in texts]

        def order(row: Sequence[str | None]) -> list[str]:
            return [
                "" if each is None else self._mask.number(each) if (table, place) in columns else each
                for place, each in enumerate(row)
            ]

        return tuple(
            composite_of(
                [
                    None if each is None else self._at(each, columns.get((table, place)))
                    for place, each in enumerate(row)
                ]
            )
            for row in sorted(rows, key=order)
        )
