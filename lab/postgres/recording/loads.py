"""Keeps what ORM objects had loaded, since a COMMIT or a ROLLBACK makes SQLAlchemy forget it.

What an actor returns is compared by what it had loaded (`described`). An object that is returned after the end of its
transaction is empty by then, though the actor, or whoever called it, may have looked at it before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState, Mapper, Session

from lab.engine.gate import current_actor
from lab.postgres.connections.listening import listening

__all__ = ["loaded_by", "remembering"]

_LOADED = "lab: what it had loaded"


def remembering() -> contextlib.AbstractContextManager[None]:
    """Keep what actors load and write until the block ends."""
    return listening(
        (Mapper, "load", _keep, {"raw": True}),
        (Mapper, "refresh", _keep, {"raw": True}),
        (Session, "before_flush", _written, {}),
    )


def loaded_by(state: InstanceState[Any]) -> Mapping[str, object]:
    """The attributes of an object that are loaded, or were when it was last in a transaction, in order of mapping."""
    known = {**state.info.get(_LOADED, {}), **state.dict}
    return {name: known[name] for name in state.mapper.attrs.keys() if name in known}  # noqa: SIM118 - no mapping


def _keep(state: InstanceState[Any], *_: object) -> None:
    if current_actor() is not None:
        kept = state.info.setdefault(_LOADED, {})
        kept.update((name, value) for name, value in state.dict.items() if name in state.mapper.attrs)


def _written(session: Session, *_: object) -> None:
    if current_actor() is not None:
        for written in (*session.new, *session.dirty):
            _keep(inspect(written))
