"""The part of a replay token that is its schedule, and how a token quotes what it holds.

- A reader can see what is replayed. `alice2.bob4` is two steps of alice, then four of bob; a count stands after a dash
  where the name itself ends in a digit or holds a dash (`alice/1-3`); a count of one is left out where it can be.
  `crash@server` is a fault, written like any other decision (see `decision_text`).
- A schedule that would be long is packed instead: `+`, the different decisions, `@`, and the schedule as indexes among
  them, of equally many bits, in base64url. Fixed bits cost a little more than a mixed radix, but take linear time both
  ways. Here the `@` of a fault is percent-encoded, as it would end the decisions.

Every number in the text is bounded before it is used: a token may come from anywhere.
"""

from __future__ import annotations

import base64
import re
from typing import NoReturn
from urllib.parse import unquote_to_bytes

from lab.errors import TokenError
from lab.model.decision import Decision
from lab.model.decision_text import decision_of, decision_text
from lab.model.schedule import Schedule
from lab.model.text import shown

__all__ = [
    "ALPHANUMERIC",
    "MOST_STEPS",
    "decisions_of",
    "quoted",
    "refuse",
    "schedule_text",
    "unquoted",
]

READABLE_LENGTH = 80
"""A schedule with a longer readable form is packed, which keeps ordinary tokens under 200 characters."""
MOST_STEPS = 100_000

ALPHANUMERIC = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_IN_NAME = ALPHANUMERIC | set(b"/-")
_IN_RUN = _IN_NAME | set(b"@")
_RENEW = "no lab writes such a token, so hunt again for a new one"


def schedule_text(schedule: Schedule) -> str:
    """The decisions of a schedule as text. Raises `TokenError` for too many."""
    if len(schedule) > MOST_STEPS:
        raise TokenError(
            f"a schedule of {len(schedule)} steps is too long for a replay token, which holds at most {MOST_STEPS}; "
            "run the scenario with a lower step limit"
        )
    readable = ".".join(_run(quoted(decision_text(each), _IN_RUN), count) for each, count in schedule.runs)
    return readable if len(readable) <= READABLE_LENGTH else min(readable, _packed(schedule), key=len)


def decisions_of(text: str) -> tuple[Decision, ...]:
    """The decisions in a text that `schedule_text` made. Raises `TokenError`."""
    texts = _unpacked(text) if text.startswith("+") else _unrolled(text)
    known = {each: decision_of(each) for each in set(texts)}
    return tuple(known[each] for each in texts)


def _run(name: str, count: int) -> str:
    if not name or name[-1].isdigit() or "-" in name:
        return f"{name}-{count}"
    return name if count == 1 else f"{name}{count}"


def _unrolled(text: str) -> tuple[str, ...]:
    decisions: list[str] = []
    for run in text.split(".") if text else ():
        if "-" in run:
            name, _, count = run.rpartition("-")
        else:
            name = run.rstrip("0123456789")
            count = run[len(name) :] or "1"
        understood = re.fullmatch(r"[0-9]{1,6}", count) and (name or "-" in run)
        steps = int(count) if understood else 0
        if not 0 < steps <= MOST_STEPS - len(decisions):
            refuse("schedule", run, f"runs of a name and a count, at most {MOST_STEPS} steps in all")
        decisions += [unquoted(name, "actor name")] * steps
    return tuple(decisions)


def _packed(schedule: Schedule) -> str:
    index = {each: i for i, each in enumerate(dict.fromkeys(schedule))}
    width = _width(len(index))
    # The bit in front keeps the leading zeros, and so the number of steps.
    bits = "1" + "".join(format(index[each], f"0{width}b") for each in schedule)
    data = int(bits, 2).to_bytes((len(bits) + 7) // 8, "big")
    names = ".".join(quoted(decision_text(each), _IN_NAME) for each in index)
    return f"+{names}@{base64.urlsafe_b64encode(data).decode().rstrip('=')}"


def _unpacked(text: str) -> tuple[str, ...]:
    before, _, data = text[1:].partition("@")
    names = [unquoted(name, "actor name") for name in before.split(".")]
    width = _width(len(names))
    if not re.fullmatch(r"[A-Za-z0-9_-]+", data) or len(data) % 4 == 1:
        refuse("packed schedule", data, "+names@base64url")
    number = int.from_bytes(base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)), "big")
    bits = f"{number:b}"[1:]
    if not number or len(bits) % width or len(bits) // width > MOST_STEPS:
        refuse("packed schedule", data, f"{width} bits for each of at most {MOST_STEPS} steps")
    indexes = [int(bits[i : i + width], 2) for i in range(0, len(bits), width)]
    if indexes and max(indexes) >= len(names):
        refuse("packed schedule", data, f"only decisions among its {len(names)} actors")
    return tuple(names[index] for index in indexes)


def _width(names: int) -> int:
    return max(1, (names - 1).bit_length())


# ------------------------------------------------------------------ what all fields of a token have in common


def quoted(text: str, safe: frozenset[int]) -> str:
    """Percent-encoded UTF-8; lone surrogates, which a Python string may hold, are carried too."""
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def unquoted(text: str, what: str) -> str:
    """The text that `quoted` was given. Raises `TokenError` that names `what`."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        refuse(what, text, "two hexadecimal digits after each %")
    try:
        return unquote_to_bytes(text).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        refuse(what, text, "UTF-8 in percent-encoding")


def refuse(what: str, met: str, expected: str) -> NoReturn:
    """Raise the `TokenError` for a part of a token that is intact and yet makes no sense."""
    raise TokenError(f"the replay token's {what} reads {shown(met)}, expected {expected}; {_RENEW}") from None
