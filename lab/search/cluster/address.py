"""Where a dask scheduler is: an address as dask writes it, or the file in which a scheduler wrote its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

from lab.errors import UsageError

__all__ = ["address_of"]

_ADDRESS = re.compile(r"(?:(?:tcp|tls|ws|wss|ucx)://)?(?:[\w.-]+|\[[0-9A-Fa-f:.%]+\]):(\d{1,5})")
HIGHEST_PORT = 65535


def address_of(text: str) -> str:
    """The address that a text is, or that the file of this name holds. Raises `UsageError` for neither."""
    if is_address(text):
        return text
    path = Path(text).expanduser()
    try:
        held = json.loads(path.read_text(encoding="utf-8"))["address"]
    except (OSError, ValueError):
        kind = "a file of a dask scheduler" if path.is_file() else "an address like tcp://HOST:8786, and no such file"
        raise UsageError(f"--dask {text!r} is not {kind}") from None
    except (KeyError, TypeError):
        held = None
    if not isinstance(held, str) or not is_address(held):
        raise UsageError(f"the file {text!r} holds no address of a dask scheduler")
    return held


def is_address(text: str) -> bool:
    """Whether a text is one that dask can connect to."""
    found = _ADDRESS.fullmatch(text)
    return found is not None and 0 < int(found[1]) <= HIGHEST_PORT
