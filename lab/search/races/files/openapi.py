"""The examples of an OpenAPI 3 document as requests, in the order of the document.

An example of a parameter or a body may stand beside it, or in its schema, or be put together from those of a schema's
properties. Where several are named, there is a request for each name, with the examples of that name wherever there
are. Nothing is made up: an operation that lacks an example of what it must have is named, and not sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from lab.errors import UsageError
from lab.search.races.files.asked import Asked, Requests

__all__ = ["read_openapi"]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_FORM = "application/x-www-form-urlencoded"
_DEEPEST = 12
_NAMELESS = ""
"""The name of an example that has none."""


class _Missing(Exception):
    """What has no example."""


def read_openapi(file: str, document: dict[str, Any]) -> Requests:
    """The requests of a document. Raises `UsageError` for one of another version, or that is not as OpenAPI has it."""
    version = document.get("openapi")
    if not isinstance(version, str) or not version.startswith("3."):
        stated = document.get("swagger", version)
        raise UsageError(f"{file}: an OpenAPI document of version {stated!r}, and the lab reads versions 3.x")
    asked: list[Asked] = []
    unused, title = [], ""
    try:
        for path, item in document["paths"].items():
            for method in (each for each in item if each in _METHODS):
                title = f"{method.upper()} {path}"
                try:
                    asked += _of_operation(document, title, item, item[method])
                except _Missing as error:
                    unused.append(f"{title} is not used: {error}")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"{file}, {title or 'paths'}: not as OpenAPI has it: {_wrong(error)}") from None
    return Requests(tuple(asked), unused=tuple(unused))


def _wrong(error: Exception) -> str:
    """What is wrong with a document, in words that are not Python's."""
    if isinstance(error, KeyError):
        return f"there is no {error}"
    return str(error) if isinstance(error, ValueError) else "a value has another type"


def _of_operation(document: Any, title: str, item: Any, operation: Any) -> Iterator[Asked]:
    method, _, path = title.partition(" ")
    parameters: dict[tuple[str, str], Any] = {}
    for each in (*item.get("parameters", ()), *operation.get("parameters", ())):
        stated = _resolved(document, each)
        parameters[stated["in"], stated["name"]] = stated
    values = {key: _examples_of(document, each) for key, each in parameters.items()}
    for (place, name), stated in parameters.items():
        if not values[place, name] and (stated.get("required") or place == "path"):
            raise _Missing(f"its parameter {name} has no example")
    kind, bodies = _bodies(document, operation)
    names = list(dict.fromkeys([*bodies, *(name for each in values.values() for name in each if name)])) or [_NAMELESS]
    if any(names):  # what stands beside named ones goes with each of them
        names = [each for each in names if each]
    for name in names:
        chosen = {key: _chosen(found, name) for key, found in values.items() if found}
        place = f"{title}, example {name}" if name else title
        yield _asked(document, method, path, chosen, kind, _chosen(bodies, name) if bodies else None, place)


def _chosen(found: Mapping[str, Any], name: str) -> Any:
    return found[name] if name in found else next(iter(found.values()))


def _asked(
    document: Any, method: str, path: str, chosen: Mapping[tuple[str, str], Any], kind: str, body: Any, place: str
) -> Asked:
    query: list[tuple[str, str]] = []
    headers: list[tuple[str, str]] = []
    cookies: list[tuple[str, str]] = []
    for (where, name), value in chosen.items():
        texts = [_plain(each) for each in value] if isinstance(value, list) else [_plain(value)]
        if where == "path":
            path = path.replace(f"{{{name}}}", quote(",".join(texts), safe=""))
        elif where == "query":
            query += [(name, each) for each in texts]
        else:
            (cookies if where == "cookie" else headers).append((name, ",".join(texts)))
    if cookies:
        headers.append(("Cookie", "; ".join(f"{name}={value}" for name, value in cookies)))
    content = b""
    if kind:
        headers.append(("content-type", kind))
        form = kind == _FORM and isinstance(body, dict)
        content = urlencode(body, doseq=True).encode() if form else json.dumps(body).encode()
    prefix = urlsplit((document.get("servers") or [{}])[0].get("url", "")).path.rstrip("/")
    url = f"{prefix}{path}" + (f"?{urlencode(query)}" if query else "")
    return Asked(method, url, tuple(headers), content, place)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _bodies(document: Any, operation: Any) -> tuple[str, dict[str, Any]]:
    """The type of the content, and its examples by their names; "" for no body."""
    body = _resolved(document, operation.get("requestBody") or {})
    content = body.get("content") or {}
    known = [each for each in content if each.partition(";")[0].endswith(("/json", "+json"))]
    known += [each for each in content if each.partition(";")[0] == _FORM]
    for kind in known:
        if found := _examples_of(document, content[kind]):
            return kind, found
    if content and body.get("required", True):
        raise _Missing("its body has no example" if known else f"its body is {', '.join(content)}, which is not JSON")
    return "", {}


def _examples_of(document: Any, stated: Any) -> dict[str, Any]:
    """The examples of a parameter or of a body by their names, in order; none where it has none."""
    if "example" in stated:
        return {_NAMELESS: stated["example"]}
    named = {name: _resolved(document, each) for name, each in (stated.get("examples") or {}).items()}
    if found := {name: each["value"] for name, each in named.items() if "value" in each}:
        return found
    try:
        values = list(_of_schema(document, stated.get("schema") or {}, 0))
    except _Missing:
        return {}
    return {str(number) if len(values) > 1 else _NAMELESS: each for number, each in enumerate(values, 1)}


def _of_schema(document: Any, schema: Any, depth: int) -> Iterator[Any]:
    """The examples of a schema, or one put together from those of its parts. Raises `_Missing`."""
    schema = _resolved(document, schema)
    if depth > _DEEPEST:
        raise _Missing("its schema refers to itself")
    for key in ("example", "const", "default"):
        if key in schema:
            yield schema[key]
            return
    if isinstance(schema.get("examples"), list) and schema["examples"]:
        yield from schema["examples"]
    elif "properties" in schema or schema.get("allOf"):
        yield _put_together(document, schema, depth)
    elif schema.get("type") == "array" and "items" in schema:
        yield [next(_of_schema(document, schema["items"], depth + 1))]
    elif found := [each for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())) if each.get("type") != "null"]:
        yield from _of_schema(document, found[0], depth + 1)
    else:
        raise _Missing("no example")


def _put_together(document: Any, schema: Any, depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for each in schema.get("allOf", ()):
        made |= next(_of_schema(document, each, depth + 1))
    for name, inner in schema.get("properties", {}).items():
        try:
            made[name] = next(_of_schema(document, inner, depth + 1))
        except _Missing:
            if name in schema.get("required", ()):
                raise
    if not made and schema.get("required"):
        raise _Missing("no example")
    return made


def _resolved(document: Any, value: Any) -> Any:
    """What a reference within the document stands for."""
    for _ in range(_DEEPEST):
        if not isinstance(value, dict) or "$ref" not in value:
            return value
        place: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            place = place[part.replace("~1", "/").replace("~0", "~")]
        value = place
    raise ValueError("a reference leads to itself")
