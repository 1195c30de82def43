"""Histories by hand, in the notation of the textbooks, so that a test reads like the page it is taken from.

    history("w1(x)=11 w2(x)=12 c1 c2", "x: 1 2")

`wN(item)` writes, `dN(item)` deletes, `rN(item:writer)` reads a writer's last version (`rN(item:writer.2)` its second,
`rN(item)` the initial one), `pN(predicate:item@writer,…)` looks at a predicate, `sN` undoes what N wrote since the last
`(N` (a savepoint), `cN` commits, `aN` aborts. Steps are counted through. An order is `item: writer writer`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace

from lab.model.history import INITIAL, History, PredicateRead, Read, Status, Transaction, Version, Write

WORD = re.compile(r"([wdrp])(\d)\(([^)]*)\)(?:=(\S+))?|([cas(])(\d)")


def version(text: str) -> Version:
    if not text or text == "0":
        return INITIAL
    writer, _, number = text.partition(".")
    return Version(f"T{writer}", int(number or 1))


def history(text: str, *orders: str, levels: str = "", level: str = "SERIALIZABLE", matching: str = "") -> History:
    """`levels` gives each transaction's own, as "1=READ COMMITTED"; `matching` is "predicate: item@writer …"."""
    operations: dict[str, list] = defaultdict(list)
    ends: dict[str, Status] = {}
    points: dict[str, int] = {}
    words = WORD.findall(text)
    assert len(words) == len(text.split()), text
    for step, (kind, number, inside, value, end, ended) in enumerate(words, 1):
        name = f"T{number or ended}"
        done = operations[name]
        if kind in "wd" and kind:
            done.append(Write(inside, step, value, dead=kind == "d"))
        elif kind == "r":
            item, _, seen = inside.partition(":")
            done.append(Read(item, version(seen), step, value, absent=value == "-"))
        elif kind == "p":
            predicate, _, rows = inside.partition(":")
            done.append(PredicateRead(predicate, tuple(_seen(row) for row in rows.split(",") if row), step))
        elif end == "(":
            points[name] = len(done)
        elif end == "s":
            since = points[name]
            done[since:] = [replace(op, undone=step) if isinstance(op, Write) else op for op in done[since:]]
        else:
            ends[name] = Status.COMMITTED if end == "c" else Status.ABORTED
    own = dict(each.split("=") for each in levels.split(",") if each)
    return History(
        tuple(Transaction(name, tuple(operations[name]), ends[name], own.get(name[1:], level)) for name in ends),
        dict(_order(each, operations) for each in orders),
        dict([_matching(matching)] if matching else []),
    )


def _seen(row: str) -> tuple[str, Version]:
    item, _, writer = row.partition("@")
    return item, version(writer)


def _order(text: str, operations: dict[str, list]) -> tuple[str, tuple[tuple[Version, ...], ...]]:
    item, _, writers = text.partition(":")

    def last(name: str) -> Version:
        numbers = [write.undone for write in operations[name] if isinstance(write, Write) and write.item == item]
        return Version(name, max(number for number, undone in enumerate(numbers, 1) if undone is None))

    return item, (tuple(last(f"T{writer}") for writer in writers.split()),)


def _matching(text: str) -> tuple[str, frozenset[tuple[str, Version]]]:
    predicate, _, rows = text.partition(":")
    return predicate, frozenset(_seen(row) for row in rows.split())
