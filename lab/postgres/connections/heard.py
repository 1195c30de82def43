"""Takes in what a backend says beside its answers: rows that it wrote, a changed catalog, that it waits for a lock."""

from __future__ import annotations

import json
from typing import Any

from lab.postgres.connections.triggers import ALTERED, WRITTEN
from lab.postgres.locks.names import wait_of

__all__ = ["heard"]


def heard(connection: Any, message: Any) -> None:
    """A log message from a backend; one of them says that its statement waits for a lock."""
    if message.message == WRITTEN:
        connection.line.written.append(message.detail)
        return
    if message.message == ALTERED:
        connection.journal.altered = True
        made = {int(number): name.removeprefix("public.") for number, name in json.loads(message.detail).items()}
        connection.relations.update(made)
        return
    actor = connection.busy_for
    if actor is None or "still waiting" not in message.message:
        return
    connection.reports(message)
    actor.waits(wait_of(message.message, getattr(message, "context", None) or "", connection.relations))
