"""The requests that an application answers: method, path, and a body built from the schema that it states."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.commands.sketch.mentioned import mentioned
from lab.errors import Interrupted, UsageError, first_line

__all__ = ["Route", "routes_of"]

_METHODS = ("post", "put", "patch", "delete")
"""Those that write; the earlier, the likelier it is one that two people send at the same time."""
_STRINGS = {
    "uuid": "00000000-0000-0000-0000-000000000001",
    "date-time": "2020-01-01T12:00:00Z",
    "date": "2020-01-01",
    "time": "12:00:00",
    "email": "one@example.com",
    "uri": "https://example.com/",
}
DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Route:
    """A kind of request."""

    method: str
    path: str
    """With its parameters in braces."""
    endpoint: Callable[..., Any] | None
    inputs: Mapping[str, Mapping[str, Any]]
    """Where -> name -> schema, of what a request must have: path, query, header."""
    body: Mapping[str, Any] | None
    """The schema of its JSON, with what it refers to put in."""

    @property
    def name(self) -> str:
        """A name for a file and a class."""
        if self.endpoint is not None and self.endpoint.__name__.isidentifier():
            return self.endpoint.__name__
        words = [each for each in self.path.split("/") if each.isidentifier()]
        return "_".join([self.method, *words])

    @property
    def described(self) -> str:
        """As people write it."""
        return f"{self.method.upper()} {self.path}"


def routes_of(app: Any, tops: frozenset[str]) -> list[Route]:
    """The requests of an application that write, those first that write most, and those last that need a login.

    Raises `UsageError` if the application cannot describe itself.
    """
    try:
        document = app.openapi() if callable(getattr(app, "openapi", None)) else {}
    except Interrupted:
        raise
    except BaseException as error:
        raise UsageError(f"the application does not describe its routes: {first_line(error)}") from error
    endpoints = list(_endpoints(app))
    found = []
    for path, operations in document.get("paths", {}).items():
        for method in _METHODS:
            if operation := operations.get(method):
                route = _route(document, method, path, operation, endpoints)
                said = mentioned([route.endpoint], tops) if route.endpoint is not None else None
                worth = said.writes + 2 * bool(said.read) if said is not None else 0
                found.append(((bool(operation.get("security")), -worth, _METHODS.index(method)), route))
    if not document:
        found = [((False, 0, 0), Route(m, path, each, {}, None)) for m, path, each in endpoints if m in _METHODS]
    return [route for _, route in sorted(found, key=lambda each: each[0])]


def _endpoints(router: Any) -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """(method, path as its router has it, function) of all routes, also of routers inside."""
    for route in getattr(router, "routes", None) or ():
        endpoint, methods = getattr(route, "endpoint", None), getattr(route, "methods", None)
        if inspect.isfunction(endpoint) and methods:
            yield from ((method.lower(), route.path, endpoint) for method in methods)
        for inner in ("original_router", "app"):
            if hasattr(getattr(route, inner, None), "routes"):
                yield from _endpoints(getattr(route, inner))


def _route(
    document: Any, method: str, path: str, operation: Any, endpoints: list[tuple[str, str, Callable[..., Any]]]
) -> Route:
    own = [(each, local) for kind, local, each in endpoints if kind == method and path.endswith(local)]
    endpoint = max(own, key=lambda each: len(each[1]))[0] if own else None
    inputs: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}}
    for each in operation.get("parameters", ()):
        if each.get("required") and each["in"] in inputs:
            inputs[each["in"]][each["name"]] = _resolved(document, each.get("schema", {}))
    content = operation.get("requestBody", {}).get("content", {})
    body = content.get("application/json", {}).get("schema")
    return Route(method, path, endpoint, inputs, _resolved(document, body) if body is not None else None)


def _resolved(document: Any, schema: Any, depth: int = 0) -> dict[str, Any]:
    """A schema with what it refers to in its place."""
    while "$ref" in schema:
        place: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            place = place[part]
        schema = place
    if depth >= DEEPEST:
        return {}
    found = dict(schema)
    for key in ("anyOf", "oneOf", "allOf"):
        if found.get(key):
            real = [each for each in found.pop(key) if each.get("type") != "null"]
            found = {**_resolved(document, real[0], depth + 1), **found} if real else found
    if "properties" in found:
        wanted = found.get("required", [])
        found["properties"] = {
            name: _resolved(document, each, depth + 1) for name, each in found["properties"].items() if name in wanted
        }
    if isinstance(found.get("items"), dict):
        found["items"] = _resolved(document, found["items"], depth + 1)
    return found


def example(schema: Mapping[str, Any], name: str, value: Callable[[str, type], Any]) -> Any:
    """A value for a schema. `value` gives those of plain numbers and texts, by the name of their field."""
    for key in ("example", "default", "const"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    match "object" if "properties" in schema else schema.get("type"):
        case "object":
            made: Any = {each: example(inner, each, value) for each, inner in schema.get("properties", {}).items()}
        case "array":
            made = [example(schema.get("items", {}), name.removesuffix("s"), value)]
        case "integer" | "number" as kind:
            made = _within(schema, value(name, int) if kind == "integer" else 1)
        case "string":
            made = _STRINGS.get(schema.get("format", "")) or _long_enough(schema, value(name, str))
        case kind:
            made = True if kind == "boolean" else None
    return made


def _within(schema: Mapping[str, Any], number: Any) -> Any:
    least = schema.get("minimum", schema.get("exclusiveMinimum", number - 1) + 1)
    return max(number, int(least))


def _long_enough(schema: Mapping[str, Any], text: str) -> str:
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength", len(text))]
