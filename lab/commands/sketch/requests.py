"""The text of a scenario in which two actors send an application the same request."""

from __future__ import annotations

import ast
import json
from typing import Any

from sqlalchemy import Table

from lab.commands.sketch.names import Names
from lab.commands.sketch.routes import Route, example
from lab.commands.sketch.rows import Tables
from lab.commands.sketch.scenario import Draft
from lab.commands.sketch.service import Arguments

__all__ = ["request_draft"]


def request_draft(
    app: tuple[str, str], route: Route, tables: Tables, filled: list[Table], watched: list[tuple[str, str]]
) -> Draft:
    """A draft in which two actors send a request to `app`, (module, name), with rows in some tables."""
    names = Names()
    arguments = Arguments(tables, filled, names)
    path = route.path
    for name, schema in route.inputs.get("path", {}).items():
        path = path.replace(f"{{{name}}}", str(example(schema, name, _plain(arguments))))
    words = [json.dumps(path)]
    for word, place in (("params", "query"), ("headers", "header")):
        if given := {
            name: example(each, name, _plain(arguments)) for name, each in route.inputs.get(place, {}).items()
        }:
            words.append(f"{word}={_literal({name: str(value) for name, value in given.items()})}")
    if route.body is not None:
        words.append(f"json={_literal(example(route.body, '', _plain(arguments)))}")
    module, name = app
    http = names.of("lab", "http")
    return Draft(
        names=names,
        subject=f"{module}:{name}",
        name=route.name,
        tables=tables,
        filled=filled,
        watched=watched,
        asked={"client": names.of("httpx", "AsyncClient")},
        bodies=[[f"return await client.{route.method}({', '.join(words)})"]] * 2,
        what=f"send {route.described}",
        attributes=[f"app = {http}({names.module(module)}.{name})"],
    )


def _plain(arguments: Arguments) -> Any:
    """What `example` asks for numbers and texts: the values of the rows that there are, where a name says which."""

    def value(name: str, kind: type) -> Any:
        text = arguments.value(name, kind)
        try:
            found = ast.literal_eval(text)
        except (ValueError, SyntaxError):  # a UUID, an enum: JSON has neither
            found = None
        return found if isinstance(found, kind) else {int: 1, str: f"{name}-1"}[kind]

    return value


def _literal(value: Any) -> str:
    """JSON values as Python has them, with the quotes that formatters use."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)}: {_literal(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
