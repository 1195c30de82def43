"""Remembers what was read of a statement, by its compiled form, and by the key of equal ones.

SQLAlchemy's cache would keep the compiled form of a statement for the next time; but it is emptied before each
execution. So equal forms share what was read, by the key under which that cache would find them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, MutableMapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy.util import LRUCache

__all__ = ["remembered"]

KEPT = 1000
_log = logging.getLogger(__name__)
Made = TypeVar("Made")
Known = dict[Hashable, Any]
"""What was made of a statement, by the functions that made it."""
_by_form: WeakKeyDictionary[Any, Known] = WeakKeyDictionary()
_by_key: MutableMapping[Hashable, Known] = LRUCache(KEPT)


def remembered(compiled: Any, key: Hashable, make: Callable[[], Made], otherwise: Made) -> Made:
    """What `make()` returns, computed once for equal compiled forms; `otherwise` where it fails."""
    known = _known(compiled)
    if key not in known:
        try:
            known[key] = make()
        except Exception:  # noqa: BLE001 - a construct may be anything, and this is not an error of the actor
            _log.warning("this statement counts as not understood, since it could not be read: %s", compiled)
            _log.debug("why it could not be read", exc_info=True)
            known[key] = otherwise
    return known[key]  # type: ignore[no-any-return]


def _known(compiled: Any) -> Known:
    try:
        known = _by_form.get(compiled)
    except TypeError:  # a compiled form without weak references
        return {}
    if known is None:
        known = {}
        if (generated := compiled.cache_key) is not None:
            columns = tuple(compiled.column_keys or ())
            known = _by_key.setdefault((generated.key, compiled.string, columns, compiled.for_executemany), known)
        _by_form[compiled] = known
    return known
