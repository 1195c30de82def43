"""Which databases a scenario tells apart, and what is wrong with what it says of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lab.errors import Interrupted, ScenarioError, UsageError, first_line
from lab.scenario.declare import Scenario, target_of
from lab.scenario.pyproject import settings

if TYPE_CHECKING:
    from sqlalchemy import MetaData

__all__ = ["metadata_of", "refuse_wrong_databases", "take_databases_of_project"]

_RESERVED = ("public", "information_schema", "concurrency_lab")
_LONGEST = 63
_PLACE = '"shop.models:Base.metadata"'
_EXAMPLE = 'databases = {"shop": Base.metadata, "billing": None}'


def metadata_of(cls: type[Scenario]) -> Mapping[str, MetaData | None]:
    """The metadata of a scenario by the schema in which the lab makes its tables; "" is that of the first database."""
    if not cls.databases:
        return {"": cls.metadata}
    first, *others = cls.databases
    return {"": cls.databases[first], **{name: cls.databases[name] for name in others}}


def take_databases_of_project(cls: type[Scenario]) -> None:
    """Give a scenario that says nothing of tables the databases that `[tool.lab]` names. Raises `UsageError`."""
    says = cls.metadata is not None or cls.databases is not Scenario.databases or cls.schema is not Scenario.schema
    if says or not (stated := settings()).databases:
        return
    cls.databases = {
        name: _metadata_at(place, f"{stated.file}: databases of [tool.lab]") if place else None
        for name, place in stated.databases.items()
    }


def _metadata_at(place: str, said: str) -> MetaData:
    module, _, path = place.partition(":")
    try:
        found: object = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except Interrupted:
        raise
    except BaseException as error:
        raise UsageError(f"{said} names {place!r}, which cannot be had: {first_line(error)}") from error
    if not hasattr(found, "create_all"):
        raise UsageError(f"{said} names {place!r}, which is no MetaData; it is module:attribute, as in {_PLACE}")
    metadata: MetaData = found  # type: ignore[assignment]
    return metadata


def refuse_wrong_databases(cls: type[Scenario]) -> None:
    """Raise `ScenarioError` with one sentence for databases that cannot be told apart as a scenario says it."""
    databases: object = cls.databases
    if databases is Scenario.databases:
        return
    if not isinstance(databases, Mapping) or not databases:
        raise ScenarioError(
            f"{target_of(cls)} has databases = {databases!r}; it maps names of databases to their metadata, as in "
            f"{_EXAMPLE}"
        )
    for name, metadata in databases.items():
        _refuse_entry(cls, name, metadata)
    first, *others = databases
    if reserved := [name for name in others if name in _RESERVED or name.startswith("pg_") or _is_long(name)]:
        raise ScenarioError(
            f"{target_of(cls)} has a database {reserved[0]!r}, which the lab cannot keep as a schema of that name; "
            "it can be the first of databases, or have a shorter or another name"
        )
    if cls.metadata is not None and cls.metadata is not databases[first]:
        raise ScenarioError(
            f"{target_of(cls)} has metadata, and databases whose first entry {first!r} is another; leave metadata out"
        )
    _refuse_clashes(cls, databases)


def _refuse_entry(cls: type[Scenario], name: object, metadata: object) -> None:
    if not isinstance(name, str) or not name or "\0" in name:
        raise ScenarioError(
            f"{target_of(cls)} has {name!r} in databases; a key is the name of a database as URLs have it, as in "
            f"{_EXAMPLE}"
        )
    if metadata is None or hasattr(metadata, "create_all"):
        return
    hint = f"write {metadata.__name__}.metadata" if isinstance(metadata, type) else "it is a MetaData, or None"
    raise ScenarioError(f"{target_of(cls)} has {metadata!r} for the database {name!r}; {hint}, as in {_EXAMPLE}")


def _refuse_clashes(cls: type[Scenario], databases: Mapping[str, MetaData | None]) -> None:
    """A schema that tables name themselves is one of the lab's database, so two databases cannot both have it."""
    first, *others = databases
    taken = {name: name for name in others} | {"public": first}
    for name, metadata in databases.items():
        own = set() if metadata is None else {each.schema for each in metadata.tables.values() if each.schema}
        for schema in sorted(own):
            if taken.setdefault(schema, name) != name:
                raise ScenarioError(
                    f"{target_of(cls)} has tables of the schema {schema!r} in the database {name!r}, where the lab "
                    f"has what belongs to the database {taken[schema]!r}; make them without a schema, or rename it"
                )


def _is_long(name: str) -> bool:
    return len(name.encode()) > _LONGEST
