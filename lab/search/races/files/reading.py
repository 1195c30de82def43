"""Reads a file of requests. Which of three kinds it is, its content says."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab.errors import UsageError
from lab.search.races.files.asked import Asked, Requests
from lab.search.races.files.har import read_har
from lab.search.races.files.lines import asked_of, read_lines
from lab.search.races.files.openapi import read_openapi

__all__ = ["read_requests"]

_KINDS = "a HAR file, JSON lines or an OpenAPI document as JSON"


def read_requests(path: Path, host: str | None = None) -> Requests:
    """The requests of a file that lead to one host: the one that is given, else the one that most of them lead to.

    Raises `UsageError`, one sentence with the place, for what cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}, byte {error.start}: not UTF-8; FILE is {_KINDS}") from None
    if not text.strip():
        raise UsageError(f"{path} is empty; FILE is {_KINDS}")
    found = _of_one_host(path, _read(str(path), text), host)
    if not found.asked:
        left = ", ".join(f"{number} {why}" for why, number in found.left_out.items())
        why = f" (left out: {left})" if left else f": {found.unused[0]}" if found.unused else ""
        raise UsageError(f"{path} has no request that could be sent{why}")
    return found


def _read(file: str, text: str) -> Requests:
    try:
        value = json.loads(text)
    except ValueError as error:
        return Requests(_lines(file, text, error))
    if isinstance(value, dict) and isinstance(value.get("log"), dict):
        return read_har(file, value)
    if isinstance(value, dict) and "paths" in value and ("openapi" in value or "swagger" in value):
        return read_openapi(file, value)
    if isinstance(value, list):
        return Requests(tuple(asked_of(file, f"request {number}", each) for number, each in enumerate(value, 1)))
    return Requests((asked_of(file, "line 1", value),))


def _lines(file: str, text: str, whole: ValueError) -> tuple[Asked, ...]:
    """JSON lines, unless not even the first of them is JSON: then it is a document, and broken."""
    first = next(each for each in text.splitlines() if each.strip())
    if _is_json(first) or not isinstance(whole, json.JSONDecodeError):
        return read_lines(file, text)
    kind = "it may be YAML; " if first.startswith(("openapi:", "swagger:", "---")) else ""
    place = f"{file}, line {whole.lineno}, column {whole.colno}"
    raise UsageError(f"{place}: not valid JSON: {whole.msg}; {kind}FILE is {_KINDS}")


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _of_one_host(path: Path, requests: Requests, host: str | None) -> Requests:
    hosts = Counter(netloc for each in requests.asked if (netloc := urlsplit(each.url).netloc))
    if host is not None and host not in hosts:
        there = ", ".join(f"{name} ({number})" for name, number in hosts.most_common())
        those = f"the hosts are {there}" if there else "none of them names a host, so leave --host out"
        raise UsageError(f"{path} has no request to {host}; {those}")
    if not hosts:
        return requests
    wanted: Any = host or hosts.most_common(1)[0][0]
    kept = tuple(each for each in requests.asked if urlsplit(each.url).netloc in ("", wanted))
    left_out = Counter(requests.left_out)
    for name, number in hosts.items():
        if name != wanted:
            left_out[f"to {name}"] += number
    return replace(requests, asked=kept, left_out=left_out)
