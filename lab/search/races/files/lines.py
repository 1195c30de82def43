"""Requests as JSON, one object each: a line each, or in a list."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from lab.errors import UsageError
from lab.search.races.files.asked import Asked, header_lines, typed

__all__ = ["asked_of", "read_lines"]

_METHOD = re.compile(r"[A-Za-z]+")
_FORM = '{"method": "POST", "path": "/orders", "json": {"item": 1}}'
_STATUSES = range(100, 600)


def read_lines(file: str, text: str) -> tuple[Asked, ...]:
    """The requests of a text with one object on each line. Raises `UsageError`."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError as error:
                column = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
                what = error.msg if isinstance(error, json.JSONDecodeError) else error
                raise UsageError(f"{file}, line {number}{column}: not valid JSON: {what}") from None
            found.append(asked_of(file, f"line {number}", value))
    return tuple(found)


def asked_of(file: str, place: str, value: Any) -> Asked:
    """One request. Raises `UsageError` that names the place."""
    try:
        return _asked(place, value)
    except ValueError as error:
        raise UsageError(f"{file}, {place}: {error}") from None


def _asked(place: str, value: Any) -> Asked:
    if not isinstance(value, dict):
        raise ValueError(f"a request is an object such as {_FORM}, and this is {_short(value)}")  # noqa: TRY004 - of a file's
    method, url = value.get("method"), value.get("url", value.get("path"))
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise ValueError(f"method is a text such as POST, and this is {_short(method)}; a request is {_FORM}")
    if not isinstance(url, str) or not (urlsplit(url).netloc or url.startswith("/")):
        raise ValueError(f"url or path is a text that begins with / or with a host, and this is {_short(url)}")
    headers = header_lines(value.get("headers", {}))
    if "json" in value and "body" in value:
        raise ValueError("it has json and body; one of the two is sent")
    content = b""
    if "json" in value:
        content, headers = json.dumps(value["json"]).encode(), typed(headers, "application/json")
    elif (body := value.get("body")) is not None:
        if not isinstance(body, str):
            raise ValueError(f"body is a text, and this is {_short(body)}; what is JSON goes into json")
        content = body.encode()
    status, answer = _answer(value)
    return Asked(method.upper(), url, headers, content, place, status, answer)


def _answer(value: dict[str, Any]) -> tuple[int | None, Any]:
    """Status and JSON of the answer that was recorded, where one was."""
    response = value.get("response")
    known = response if isinstance(response, dict) else value
    status = response if isinstance(response, int) else known.get("status")
    if status is not None and (not isinstance(status, int) or status not in _STATUSES):
        raise ValueError(f"status is a number such as 201, and this is {_short(status)}")
    return status, known.get("json") if known is response else None


def _short(value: Any) -> str:
    text = json.dumps(value)
    return "missing" if value is None else text if len(text) <= 60 else f"{text[:59]}…"  # noqa: PLR2004 - characters
