"""A call of an action as code: the body of an actor, with the session that it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import ModuleType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from lab.search.races.actions import Action
from lab.search.races.given import Given, Holding, Opened, Plain, Row, opened_in
from lab.search.races.keeping import kept
from lab.search.races.loaded import place_of
from lab.search.races.spelling import Spelled, Spelling, Unspelled

__all__ = ["spelled_call"]


def spelled_call(
    action: Action,
    receiver: Given | None,
    arguments: Sequence[Given],
    keywords: Mapping[str, Given],
    ends: Collection[int],
    spelling: Spelling,
) -> Spelled:
    """The body of an actor that makes a call. Raises `Unspelled` where it cannot be written."""
    writing = _Writing(spelling)
    function = writing.function(action, receiver)
    given = [*map(writing.of, arguments), *(f"{name}={writing.of(each)}" for name, each in keywords.items())]
    called = f"await {function}({', '.join(given)})"
    commits = [f"await {each}.commit()" for number, each in writing.opened.items() if number not in ends]
    lines = [*writing.before, f"answer = {called}", *commits, "return answer"]
    if not commits:
        lines[-2:] = [f"return {called}"]
    spelling.modules.add("sqlalchemy.exc")
    caught = [
        "except sqlalchemy.exc.DBAPIError:  # no answer, but a refusal or a mistake",
        "    raise",
        "except Exception as error:",
        "    return repr(error)",
    ]
    return Spelled(tuple(writing.opened.values()), ("try:", *(f"    {line}" for line in lines), *caught))


class _Writing:
    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        self.opened: dict[int, str] = {}
        """`id` of a session or connection of the test -> the parameter that takes its place."""
        self.before: list[str] = []
        self._rows: dict[int, str] = {}

    def of(self, given: Given) -> str:
        """An expression for what was given."""
        if isinstance(given, Opened):
            return self._session(given)
        if isinstance(given, Row):
            return self._row(given)
        if isinstance(given, Holding):
            return self._holding(given)
        if isinstance(given, Plain):
            return self._spelling.of(given.value)
        return self._global(given.value)

    def function(self, action: Action, receiver: Given | None) -> str:
        """The function that is called."""
        owner = action.owner
        if owner is None:
            return self._spelling.named(action.function)
        if isinstance(owner, ModuleType):
            return self._spelling.within(owner.__name__, action.name)
        if isinstance(owner, type):
            return f"{self._spelling.named(owner)}.{action.name}"
        assert receiver is not None
        if not any(opened_in(receiver)) and place_of(owner) is not None:
            return f"{self._global(owner)}.{action.name}"
        if (made := action.made) is None:
            raise Unspelled(f"how {type(owner).__name__} was made is not known; give lab.actions the class")
        arguments = [self.of(kept(each)) for each in made.arguments]
        named = [f"{name}={self.of(kept(each))}" for name, each in made.named.items()]
        return f"{self._spelling.named(made.cls)}({', '.join([*arguments, *named])}).{action.name}"

    def _global(self, value: Any) -> str:
        if (place := place_of(value)) is not None:
            return self._spelling.within(*place)
        return self._spelling.of(value)

    def _session(self, given: Opened) -> str:
        number = id(given.value)
        if number not in self.opened:
            name = "connection" if isinstance(given.value, AsyncConnection) else "session"
            if name in self.opened.values():
                raise Unspelled(f"it has more than one {name}")
            self.opened[number] = name
            if isinstance(given.value, AsyncSession) and not given.options["expire_on_commit"]:
                self._spelling.options["expire_on_commit"] = False
        return self.opened[number]

    def _row(self, given: Row) -> str:
        number = id(given.value)
        if number not in self._rows:
            if given.within is None:
                raise Unspelled(f"{given.text} is of no session")
            session, cls = self._session(given.within), self._spelling.named(type(given.value))
            key = given.identity[0] if len(given.identity) == 1 else given.identity
            name = type(given.value).__name__.lower()
            name = self._rows[number] = name if name not in self._rows.values() else f"{name}_{len(self._rows) + 1}"
            options = "".join(self._eager(cls, each) for each in given.loaded)
            options = f", options=[{options.strip(', ')}]" if options else ""
            self.before.append(f"{name} = await {session}.get_one({cls}, {self._spelling.of(key)}{options})")
            if not given.within.began:
                self.before.append(f"await {session}.commit()")
        return self._rows[number]

    def _eager(self, cls: str, attribute: str) -> str:
        return f"{self._spelling.within('sqlalchemy.orm', 'selectinload')}({cls}.{attribute}), "

    def _holding(self, given: Holding) -> str:
        value, parts = given.value, {name: self.of(each) for name, each in given.inside.items()}
        if type(value) is dict:
            return f"{{{', '.join(f'{self._spelling.of(name)}: {each}' for name, each in parts.items())}}}"
        if type(value) is list:
            return f"[{', '.join(parts.values())}]"
        if type(value) is tuple:
            return f"({', '.join(parts.values())}{',' if len(parts) == 1 else ''})"
        named = ", ".join(f"{name}={each}" for name, each in parts.items())
        return f"{self._spelling.named(type(value))}({named})"
