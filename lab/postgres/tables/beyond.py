"""Reads from the catalog what statements reach by other names than a table's."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from lab.postgres.server.monitor import Monitor
from lab.postgres.statements.beyond import Beyond
from lab.postgres.statements.firing import ANY, WRITES, Firing, with_what_leads_there
from lab.postgres.statements.several import closed, mentioned_in, reads, reads_beside, reads_later, reads_rows
from lab.postgres.statements.words import words_of
from lab.postgres.tables.code import CASCADES, CHILDREN, FUNCTIONS, HIDDEN, PARTS, RULES, SPELLED, TRIGGERS, VIEWS

__all__ = ["learn_beyond"]

_EVENTS = {4: ("insert", "copy"), 8: ("delete",), 16: ("update",), 32: ("truncate",)}
"""Bit of `pg_trigger.tgtype` -> words of statements."""
_STORES = frozenset(("insert", "copy", "update"))
_WHEN = {"stored": _STORES, "indexed": _STORES, "used": ANY}
"""How `HIDDEN` says when code runs -> words of statements."""
_DEFERS = re.compile(r"\bset\s+constraints\b", re.IGNORECASE)
_CASCADED = {"c": "", "n": "update", "d": "update"}
"""The action of a foreign key -> what it does to the rows that refer; "" for the same as was done."""


async def learn_beyond(monitor: Monitor, tables: Collection[str]) -> Beyond:
    """What there is beside `tables`, by the names that people use for them."""
    wholes = dict(map(tuple, await monitor.fetch(PARTS)))
    views = list(map(tuple, await monitor.fetch(VIEWS)))
    made = [(name.lower(), *more) for name, *more in map(tuple, await monitor.fetch(FUNCTIONS))]
    made += [(name.lower(), code, True, False) for name, code in map(tuple, await monitor.fetch(SPELLED))]
    hidden = list(map(tuple, await monitor.fetch(HIDDEN)))
    made += [(name.lower(), f"{call} {code}", True, False) for _, name, call, code, _ in hidden if name]
    functions = frozenset(name for name, _, _, by_trigger in made if not by_trigger)
    sources = _by_name((name, source) for name, source, _, _ in made)
    several = closed(sources, (name for name, source, volatile, _ in made if volatile and reads_later(source)))
    reading = closed(
        _by_name((name, source) for name, source, volatile, _ in made if volatile),
        (name for name, source, volatile, by_trigger in made if volatile and not by_trigger and reads(source)),
    )
    triggers = list(map(tuple, await monitor.fetch(TRIGGERS)))
    behind = [(table, source, call, kind) for table, _, call, source, kind in hidden if table]
    used = (table for table, *_, kind in behind if kind == "used")
    names = frozenset(map(_last, (*wholes, *(name for name, *_ in views), *used)))
    looked_at = {*names, *functions, *map(_last, (*tables, *wholes.values())), "execute"}
    firings = [_firing(table, wholes, kind, *when) for table, _, _, _, kind, *when in triggers]
    code = [*zip(firings, (source for _, source, *_ in triggers), strict=True), *await _leads(monitor, wholes, views)]
    code += [(Firing(name, ANY, called=True), source) for name, source, _, by_trigger in made if not by_trigger]
    code += [(Firing(_last(table), _WHEN[kind]), f"{call} {source}") for table, source, call, kind in behind]
    late = [*_late(zip(firings, triggers, strict=True), sources, looked_at), *_indexed(behind, sources, looked_at)]
    counting = [each for each, (_, _, name, *_) in zip(firings, triggers, strict=True) if name.lower() in several]
    counting += [Firing(name, ANY, called=True) for name in several]
    counting += [Firing(_last(name), ANY) for name, _, query in views if reads_beside(query, reading)]
    looking = (
        wholes.get(table, table)
        for table, source, *_ in (*triggers, *behind)
        if not looked_at.isdisjoint(words_of(source) | mentioned_in(source))
    )
    return Beyond(
        wholes,
        {name: query.strip().rstrip(";") for name, kind, query in views if kind == "v" and "." not in name},
        names,
        functions,
        frozenset(looking),
        closed(sources, (name for name, source in sources.items() if _DEFERS.search(source))),
        reading,
        with_what_leads_there(counting, code),
        with_what_leads_there(late, code),
    )


def _by_name(code: Iterable[tuple[str, str]]) -> dict[str, str]:
    """All that may run by a name: several functions may have one."""
    found: dict[str, str] = {}
    for name, source in code:
        found[name] = f"{found[name]} {source}" if name in found else source
    return found


def _late(
    triggers: Iterable[tuple[Firing, Sequence[Any]]], sources: Mapping[str, str], relations: Collection[str]
) -> Iterator[Firing]:
    """Those that read rows of these relations once their own row is locked, by themselves or by functions they call."""
    reading = _reading(sources, relations)
    for each, (_, source, _, volatile, kind, *_) in triggers:
        reads_any = reads_rows(source, relations) or not mentioned_in(source).isdisjoint(reading)
        if reads_any and (volatile or each.deferrable) and _is_late(kind):
            yield each


def _indexed(
    behind: Iterable[Sequence[str]], sources: Mapping[str, str], relations: Collection[str]
) -> Iterator[Firing]:
    """The same of functions in indexes: they run when the row is in the table."""
    reading = _reading(sources, relations)
    for table, _, call, kind in behind:
        if kind == "indexed" and not mentioned_in(call).isdisjoint(reading):
            yield Firing(_last(table), _STORES)


def _reading(sources: Mapping[str, str], relations: Collection[str]) -> frozenset[str]:
    """The functions that read rows of these relations, by themselves or by others."""
    return closed(sources, (name for name, source in sources.items() if reads_rows(source, relations)))


async def _leads(
    monitor: Monitor, wholes: Mapping[str, str], views: Iterable[Sequence[str]]
) -> list[tuple[Firing, str]]:
    """What writes to another table than a statement names, and what it does there."""
    found = [(name, word, f"{word} {query}") for name, _, query in views for word in (*WRITES, "")]
    # A row that moves to another partition is deleted here and inserted there.
    found += [(whole, "update", f'insert delete "{_last(whole)}"') for whole in set(wholes.values())]
    for referenced, child, *kinds in map(tuple, await monitor.fetch(CASCADES)):
        found.append((referenced, "truncate", f'truncate "{_last(child)}"'))
        for word, kind in zip(("delete", "update"), kinds, strict=True):
            if kind in _CASCADED:
                found.append((referenced, word, f'{_CASCADED[kind] or word} "{_last(child)}"'))
    for parent, child in map(tuple, await monitor.fetch(CHILDREN)):
        both = [(parent, child), (child, wholes[child])] if child in wholes else [(parent, child)]
        found += [(name, word, f'{word} "{_last(other)}"') for name, other in both for word in WRITES]
    found += map(tuple, await monitor.fetch(RULES))
    return [(Firing(_last(name), frozenset({word}) if word else ANY), text) for name, word, text in found]


def _firing(table: str, wholes: Mapping[str, str], kind: int, *when: bool) -> Firing:
    return Firing(_last(wholes.get(table, table)), frozenset(_events(kind)), *when)


def _events(kind: int) -> Iterator[str]:
    """The words that fire a trigger of this `pg_trigger.tgtype`."""
    for bit, words in _EVENTS.items():
        if kind & bit:
            yield from words


def _is_late(kind: int) -> bool:
    """Whether it runs once its row is locked: AFTER, or BEFORE an UPDATE or DELETE of a row."""
    before, instead, row, changed = kind & 2, kind & 64, kind & 1, kind & (8 | 16)
    return not instead and not (before and not (row and changed))


def _last(name: str) -> str:
    return name.rpartition(".")[2].strip('"').lower()
