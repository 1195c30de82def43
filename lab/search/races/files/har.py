"""Requests of a HAR file, as browsers and proxies write it: those that an application answers."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from typing import Any
from urllib.parse import urldefrag, urlencode, urlsplit

from lab.errors import UsageError
from lab.search.races.files.asked import Asked, Requests, kept_headers, typed

__all__ = ["read_har"]

_STATIC = re.compile(
    r"\.(?:js|mjs|css|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|otf|eot|mp4|webm|wasm)$", re.IGNORECASE
)
_STATIC_KINDS = ("image/", "font/", "audio/", "video/", "text/css", "text/javascript", "application/javascript")
_NOT_MODIFIED = 304
OPTIONS, STATIC, SOCKET, LOST_BODY = "OPTIONS", "static file", "websocket", "body that the file does not hold"


def read_har(file: str, document: dict[str, Any]) -> Requests:
    """The requests of a HAR. Raises `UsageError` that names the entry."""
    entries = document["log"].get("entries")
    if not isinstance(entries, list):
        raise UsageError(f"{file}: a HAR has log.entries, a list of requests with their answers, and this has none")
    found, left_out = [], Counter[str]()
    for number, entry in enumerate(entries, 1):
        place = f"entry {number}"
        try:
            if why := _left_out(entry):
                left_out[why] += 1
            else:
                found.append(_asked(place, entry))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UsageError(f"{file}, {place} {_wrong(error)}") from None
    return Requests(tuple(found), left_out)


def _wrong(error: Exception) -> str:
    """What is wrong with an entry, in words that are not Python's."""
    if isinstance(error, KeyError):
        return f"has no {error.args[0]}"
    return f"is not as HAR has it: {error if isinstance(error, ValueError) else 'a value has another type'}"


def _left_out(entry: dict[str, Any]) -> str:
    """Why a request is not sent; "" if it is."""
    request, response = entry["request"], entry.get("response") or {}
    method, parts = request["method"].upper(), urlsplit(request["url"])
    if parts.scheme not in ("http", "https"):
        return SOCKET if parts.scheme in ("ws", "wss") else STATIC
    if method == "OPTIONS":
        return OPTIONS
    kind = (response.get("content") or {}).get("mimeType") or ""
    if method in ("GET", "HEAD") and (_STATIC.search(parts.path) or kind.lower().startswith(_STATIC_KINDS)):
        return STATIC
    data = request.get("postData") or {}
    is_lost = "multipart/" in (data.get("mimeType") or "") and not data.get("text")
    return LOST_BODY if is_lost else ""


def _asked(place: str, entry: dict[str, Any]) -> Asked:
    request, response = entry["request"], entry.get("response") or {}
    headers = kept_headers((each["name"], each["value"]) for each in request.get("headers") or ())
    data = request.get("postData") or {}
    content = _content(data)
    if content and data.get("mimeType"):
        headers = typed(headers, data["mimeType"])
    status = response.get("status") or None
    url = urldefrag(request["url"]).url
    return Asked(
        request["method"].upper(),
        url,
        headers,
        content,
        place,
        None if status == _NOT_MODIFIED else status,
        _json_of(response.get("content") or {}),
    )


def _content(data: dict[str, Any]) -> bytes:
    if text := data.get("text"):
        return base64.b64decode(text) if data.get("encoding") == "base64" else str(text).encode()
    return urlencode([(each["name"], each.get("value", "")) for each in data.get("params") or ()]).encode()


def _json_of(content: dict[str, Any]) -> Any:
    text = content.get("text")
    if not text or "json" not in (content.get("mimeType") or ""):
        return None
    try:
        return json.loads(base64.b64decode(text) if content.get("encoding") == "base64" else text)
    except (ValueError, binascii.Error):
        return None
