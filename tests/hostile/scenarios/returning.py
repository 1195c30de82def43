"""What an actor may return."""

from __future__ import annotations

from scenarios.quiet import call, hostile
from scenarios.raising import NoText, NoTextAtAll


class NoString:
    """Its repr is no string."""

    def __repr__(self) -> str:
        return 7  # type: ignore[return-value]


VALUES = {
    "NoText": NoText(),
    "NoTextAtAll": NoTextAtAll(),
    "NoString": NoString(),
    "Surrogate": "half a \udcff character",
    "Long": "long " * 100_000,
}
for _name, _value in VALUES.items():
    globals()[_name] = hostile(__name__, _name, after=call(lambda value=_value: value))
