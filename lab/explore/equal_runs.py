"""Compares two runs of one schedule: whether they did the same, and in which values they differ all the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import zip_longest

from lab.explore.seen import Seen, Shown, Value
from lab.model.nature import WHOLE, Path, Places, Taint, json_leaves, json_of, without_indexes
from lab.model.outcome import ResultKind
from lab.model.text import cut, listed

__all__ = ["difference", "learn"]

SHOWN = 60
"""Characters of a statement in a name."""

Covers = dict[tuple[str, int], frozenset[Path]]


def learn(one: Seen, other: Seen, methods: Mapping[str, str]) -> Places:
    """The places at which two runs differ that do the same. `methods`: actor -> its method."""
    results: Covers = {}
    parameters: Covers = {}
    names: dict[str, None] = {}
    columns = _columns(one, other, names)
    named = {f"{table}.{_name(one, table, place)}" for table, place in columns}
    taints, texts = (Taint(), Taint()), set[str]()
    for here, there in zip(*_aligned(one, other), strict=True):
        text = taints[0](here.step.action.text)
        texts.add(text)
        for row, its in zip(here.parameters, there.parameters, strict=True):
            for place in _cells(row, its, text, parameters):
                if taints[0](row[place].raw) == row[place].raw:  # else it comes from a result, which is named
                    names[f"parameter {place + 1} of {_short(text)}"] = None
        for row, its in zip(here.rows, there.rows, strict=True):
            for place in _cells(row, its, text, results):
                if not _is_column(here, place, named):
                    names[f"result {place + 1} of {_short(text)}"] = None
        _taint(here, there, taints)
    returned = _returned(one, other, methods, names)
    errors = {methods[name] for name in _errors(one, other, names)}
    return Places(columns, results, parameters, returned, errors, tuple(names), frozenset(texts))


def _errors(one: Seen, other: Seen, names: dict[str, None]) -> Iterator[str]:
    """The actors whose error texts differ by more than their looks."""
    for name, message in one.messages.items():
        if one.results[name].kind is not ResultKind.RETURNED and message.raw != other.messages[name].raw:
            names[f"the error text of {name}"] = None
            if message.marked != other.messages[name].marked:
                yield name


def _is_column(shown: Shown, place: int, named: Collection[str]) -> bool:
    """Whether a result is that of a column which is named already."""
    result = shown.step.result
    label = result.columns[place] if result is not None and place < len(result.columns) else ""
    return any(
        table in shown.step.action.text and label == column for table, _, column in (n.rpartition(".") for n in named)
    )


def _short(text: str) -> str:
    return cut(" ".join(text.split()), SHOWN)


# ---------------------------------------------------------------------- whether two runs did the same


def difference(one: Seen, other: Seen) -> str:
    """The first difference in what was done, "" if there is none."""
    return next(_differences(one, other), "")


def _differences(one: Seen, other: Seen) -> Iterator[str]:
    taints = Taint(), Taint()
    for here, there in zip_longest(*_aligned(one, other)):
        if here is None or there is None or _done(here, taints[0]) != _done(there, taints[1]):
            number = (here or there).step.number
            yield f"in step {number}, {_said(here)} in the first run, {_said(there)} in the second"
            return
        _taint(here, there, taints)
    if one.ending is not other.ending:
        yield f"the first run was {one.ending}, the second {other.ending}"
    for name in one.results:
        ended, its_end = _ended(one, name), _ended(other, name)
        if ended != its_end:
            yield f"{name} {ended} in the first run, {its_end} in the second"
    for table in sorted({*one.rows, *other.rows}):
        count, its_count = len(one.rows.get(table, ())), len(other.rows.get(table, ()))
        if count != its_count:
            yield f"{table} ends with {count} rows in the first run, with {its_count} in the second"


def _aligned(one: Seen, other: Seen) -> Sequence[Sequence[Shown]]:
    """The steps of both runs; by actor where answers from outside the lab came in another order."""
    both = one.steps, other.steps
    first, second = ([shown.step.chosen for shown in each] for each in both)
    return both if first == second else [sorted(each, key=lambda shown: shown.step.actor) for each in both]


def _done(shown: Shown, taint: Taint) -> tuple[object, ...]:
    """What a step did, without its values."""
    step = shown.step
    result = None if step.result is None else (step.result.tag, len(step.result.rows), step.result.error)
    values = len(shown.parameters), len(shown.parameters[0])
    return step.chosen, step.action.kind, taint(step.action.text), values, result, step.wait is None, step.woken


def _taint(here: Shown, there: Shown, taints: tuple[Taint, Taint]) -> None:
    for rows in zip(here.rows, there.rows, strict=True):
        for value, its in zip(*rows, strict=True):
            if value.raw != its.raw:
                taints[0].add(value.raw)
                taints[1].add(its.raw)


def _said(shown: Shown | None) -> str:
    if shown is None:
        return "nothing was done"
    step = shown.step
    what = _short(step.action.text or str(step.action.kind))
    result = step.result
    gave = "" if result is None else f" gave {f'error {result.error}' if result.error else result.tag or 'an answer'}"
    return f"{step.actor or 'a fault'}: {what}{' waited' if step.wait else gave}"


def _ended(seen: Seen, name: str) -> str:
    result = seen.results[name]
    error = f" {type(result.error).__name__}" if result.error is not None else ""
    return f"{result.kind}{error}{f' ({result.sqlstate})' if result.sqlstate else ''}"


# ---------------------------------------------------------------------- in which values they differ


def _cells(here: Sequence[Value], there: Sequence[Value], text: str, into: Covers) -> Iterator[int]:
    """Takes in the values that differ; yields the places of those that were not known to."""
    for place, (value, its) in enumerate(zip(here, there, strict=True)):
        if value.raw != its.raw:
            cover: frozenset[Path] = WHOLE if value.marked != its.marked else frozenset()
            if (text, place) not in into:
                yield place
            into[text, place] = into.get((text, place), frozenset()) | cover


def _columns(one: Seen, other: Seen, names: dict[str, None]) -> Covers:
    """The columns that differ. Rows are no pairs yet, so a column is compared by all it holds, beside those before."""
    found: Covers = {}
    for table, rows in one.rows.items():
        pair = rows, other.rows[table]
        same: list[list[tuple[str | None, ...]]] = [[() for _ in each] for each in pair]
        for place in range(len(rows[0]) if rows else 0):
            values = [[row[place] for row in each] for each in pair]
            with_it = [_beside(given, [_marked(v) for v in held]) for given, held in zip(same, values, strict=True)]
            paths: frozenset[Path] = frozenset()
            if Counter(with_it[0]) != Counter(with_it[1]):
                paths = _json_paths(values)
            elif Counter(v and v.raw for v in values[0]) == Counter(v and v.raw for v in values[1]):
                same = with_it
                continue
            else:
                same = with_it
            found[table, place] = paths
            names[f"column {table}.{_name(one, table, place)}{_inside(paths)}"] = None
    return found


def _beside(given: list[tuple[str | None, ...]], held: list[str | None]) -> list[tuple[str | None, ...]]:
    return [(*before, value) for before, value in zip(given, held, strict=True)]


def _marked(value: Value | None) -> str | None:
    return None if value is None else value.marked


def _json_paths(values: Sequence[Sequence[Value | None]]) -> frozenset[Path]:
    """Where JSON documents differ; all of it where these are none, or have other parts."""
    found: list[dict[Path, Counter[str]]] = []
    for side in values:
        leaves: dict[Path, Counter[str]] = {}
        for value in side:
            if value is None:
                continue
            if (document := json_of(value.marked)) is None:
                return WHOLE
            for path, text in json_leaves(document):
                leaves.setdefault(path, Counter())[text] += 1
        found.append(leaves)
    here, there = found
    if here.keys() != there.keys():
        return WHOLE
    return frozenset(path for path in here if here[path] != there[path]) or WHOLE


def _name(seen: Seen, table: str, place: int) -> str:
    columns = seen.columns.get(table, ())
    return columns[place] if place < len(columns) else str(place + 1)


def _inside(paths: Collection[Path]) -> str:
    """Which parts of a value are meant, as in ` at rows[].at`; "" for all of it."""
    spoken = (".".join(path).replace(".[", "[").replace(".(", "(") for path in sorted(paths) if path)
    inside = dict.fromkeys(each.replace("(", "[").replace(")", "]") for each in spoken)
    return f" at {listed(inside)}" if inside else ""


def _returned(
    one: Seen, other: Seen, methods: Mapping[str, str], names: dict[str, None]
) -> Mapping[str, frozenset[Path]]:
    """The paths inside returned values. One in a list stands for every element if all that were met differ."""
    differing: dict[str, dict[Path, bool]] = {}
    alike: dict[str, set[Path]] = {}
    for name, values in one.returned.items():
        its = other.returned[name]
        paths: dict[Path, bool] = {(): True}
        if values.keys() == its.keys():
            paths = {
                each: value.marked != its[each].marked for each, value in values.items() if value.raw != its[each].raw
            }
        if paths:
            names[f"what {name} returned{_inside(paths)}"] = None
            differing.setdefault(methods[name], {}).update(paths)
        alike.setdefault(methods[name], set()).update(without_indexes(path) for path in values if path not in paths)
    return {
        method: frozenset(
            path if (general := without_indexes(path)) in alike.get(method, ()) else general
            for path, whole in paths.items()
            if whole
        )
        for method, paths in differing.items()
    }
