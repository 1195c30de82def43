"""What no schedule controls in a scenario, as two equal runs showed it: places, and how each is left out.

The server's clock, its chance, its numbers of transactions and whatever else is not the lab's cannot be told by their
looks: a token in a text, a week from now, a random number. So they are not guessed. Two runs of one serial schedule do
the same, and what differs between them differs by nature. It is known by its place, since the next run has another
value there.

A place may be covered by its looks alone: in both runs a mark of `lab.model.outcome.Mask` stood there, which says more
than none (the same UUID at two places is still the same). Then it is only named. Else a mark of its own stands for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = [
    "UNCONTROLLED",
    "WHOLE",
    "Path",
    "Places",
    "Taint",
    "covered",
    "joined",
    "json_leaves",
    "json_of",
    "without_indexes",
]

UNCONTROLLED = "<uncontrolled>"
"""Stands for a value that differs by nature, wherever texts are compared."""
EACH = "[]"
"""In a path: every element of a list."""
SHORTEST = 8
"""Characters of a value that is recognised where no run has shown it; a shorter one may be anything."""

Path = tuple[str, ...]
"""Where inside a value, as in `("rows", "[]", "at")`; () for all of it."""
WHOLE: frozenset[Path] = frozenset({()})


@dataclass(frozen=True, slots=True)
class Places:
    """The places that differ by nature; each with the paths inside that are to be covered, none where looks suffice."""

    columns: Mapping[tuple[str, int], frozenset[Path]] = field(default_factory=dict)
    """(table, place of the column) -> paths inside its values, where they are JSON documents."""
    results: Mapping[tuple[str, int], frozenset[Path]] = field(default_factory=dict)
    """(statement, place of the column in its result)."""
    parameters: Mapping[tuple[str, int], frozenset[Path]] = field(default_factory=dict)
    """(statement, place of the parameter)."""
    returned: Mapping[str, frozenset[Path]] = field(default_factory=dict)
    """Method of an actor -> paths inside what it returns."""
    errors: Collection[str] = frozenset()
    """Methods of actors whose error texts are covered."""
    names: tuple[str, ...] = ()
    """All of them, for people."""
    statements: frozenset[str] | None = None
    """Those that equal runs have shown, as they are compared; None where nothing was learnt."""
    unsteady: str = ""
    """That two equal runs did not do the same, in a sentence; then nothing is known of places."""

    @property
    def tables(self) -> frozenset[str]:
        """Those with such a column."""
        return frozenset(table for table, _ in self.columns)


def joined(several: Iterable[Places]) -> Places:
    """The places of all of these."""
    found, names = Places({}, {}, {}, {}), dict[str, None]()
    parts = ("columns", "results", "parameters", "returned")
    errors = frozenset[str]()
    for each in several:
        for part in parts:
            kept: Any = getattr(found, part)
            for key, paths in getattr(each, part).items():
                kept[key] = kept.get(key, frozenset()) | paths
        errors |= frozenset(each.errors)
        names |= dict.fromkeys(each.names)
        if each.statements is not None:
            found = replace(found, statements=each.statements | (found.statements or frozenset()))
        found = replace(found, unsteady=found.unsteady or each.unsteady)
    return replace(found, errors=errors, names=tuple(names))


class Taint:
    """The values that differ by nature in one execution, as they were met: recognised where else they go."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def add(self, text: str) -> None:
        """A value as `repr` shows it."""
        bare = text.split("'")[1] if text.count("'") == 2 else text  # noqa: PLR2004 - a quoted text has two quotes
        if len(bare) >= SHORTEST and bare != "None":
            self._values.add(bare)

    def __call__(self, text: str) -> str:
        """A text without them."""
        for value in self._values:
            if value in text:
                text = text.replace(value, UNCONTROLLED)
        return text


def json_of(text: str) -> Any:
    """A JSON document, None for any other text."""
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def json_leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Each plain value in a JSON document with its path."""
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from json_leaves(each, (*path, str(key)))
    elif isinstance(value, list) and value:
        for each in value:
            yield from json_leaves(each, (*path, EACH))
    else:
        yield path, json.dumps(value)


def covered(text: str, paths: frozenset[Path]) -> str:
    """A text with the mark at these paths, where it is a JSON document; else all of it is covered."""
    if not paths:
        return text
    document = None if () in paths else json_of(text)
    return UNCONTROLLED if document is None else json.dumps(_covered(document, (), paths))


def _covered(value: Any, path: Path, paths: frozenset[Path]) -> Any:
    if path in paths:
        return UNCONTROLLED
    if isinstance(value, dict):
        return {key: _covered(each, (*path, str(key)), paths) for key, each in value.items()}
    if isinstance(value, list):
        return [_covered(each, (*path, EACH), paths) for each in value]
    return value


def without_indexes(path: Path) -> Path:
    """A path with each place in a list as any place in it: another run may have more elements."""
    return tuple(EACH if part.startswith("[") else part for part in path)


Leaf = Callable[[Path, str], str]
