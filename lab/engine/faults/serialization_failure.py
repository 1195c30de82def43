"""The server finds that a transaction cannot be serialized."""

from __future__ import annotations

from lab.engine.faults.refusal import Refusal
from lab.model.trace import ActionKind

__all__ = ["FAULT"]


class SerializationFailure(Refusal):
    """Also at COMMIT, where SERIALIZABLE refuses most."""

    name = "serialization-failure"
    help = "The server refuses a statement or a COMMIT with 40001, as it does where transactions cannot be serialized."
    story = "the server cannot serialize the transaction of {}"
    sqlstate = "40001"
    message = "could not serialize access due to concurrent update"
    kinds = frozenset({ActionKind.STATEMENT, ActionKind.COMMIT})


FAULT = SerializationFailure()
