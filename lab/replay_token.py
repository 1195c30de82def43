"""Replay tokens: a schedule, and what it is a schedule of, as one line of text.

    lab1:scenarios.transfer:LostUpdate:amount=30,mode=@fast:rc:alice2.bob4.alice2:abcde:k3f9x2

The fields are version, module, class, parameters that are not the default, isolation level (`-`: as the
scenario says), schedule, digest of the choices met, and a checksum over all before it. A token travels through
chats, CI logs and shells, so:

- it holds only characters that no shell treats specially in the middle of a word; all others are
  percent-encoded as UTF-8;
- a reader can see what it replays. `alice2.bob4` is two steps of alice, then four of bob; a count stands after
  a dash where the name itself ends in a digit or holds a dash (`alice/1-3`); a count of one is left out where it
  can be. Parameters are JSON, or `@` and then plain text;
- a schedule that would be long is packed instead: `+`, the names, `@`, and the decisions as indexes of equally
  many bits in base64url. Fixed bits cost a little more than a mixed radix, but take linear time both ways;
- checks run from the outside in (is it a token, which version, is it whole, is it intact, does it make sense), so
  that the message names the cause and not what followed from it. Every number in the text is bounded before it is
  used: a token may come from anywhere.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from lab.errors import TokenError
from lab.faults import SERVER, Fault
from lab.scenario import ISOLATION_LEVELS, Scenario, actors_of, parameters_of, target_of
from lab.schedule import Schedule

__all__ = ["ReplayToken", "decode", "encode", "scenario_of", "token_for"]

VERSION = "lab1"
FIELDS = ("version", "module", "class", "parameters", "isolation", "schedule", "choices", "checksum")
CHECKSUM_LENGTH = 6
READABLE_LENGTH = 80
"""A schedule with a longer readable form is packed, which keeps ordinary tokens under 200 characters."""
MOST_CHARACTERS = 1_000_000
MOST_STEPS = 100_000
MOST_NESTING = 32

_LEVELS = dict(zip(("-", "rc", "rr", "ser"), ("", *ISOLATION_LEVELS), strict=True))
_CODES = {level: code for code, level in _LEVELS.items()}
_ALPHANUMERIC = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_IN_TARGET = _ALPHANUMERIC | set(b".-")
_IN_NAME = _ALPHANUMERIC | set(b"/-")
_IN_RUN = _IN_NAME | set(b"@")
_IN_VALUE = _ALPHANUMERIC | set(b".+-/")
_FOREIGN = re.compile(r"[^A-Za-z0-9_.:,=%+\-/@]")
_CARRIED = "numbers, text, True, False, None, and lists and mappings of these (keys: text)"
_COPY = "copy the whole token again"
_RENEW = "no lab writes such a token, so hunt again for a new one"


@dataclass(frozen=True, slots=True)
class ReplayToken:
    """What a token says. `str` gives its text.

    `target` is `module:Class`; `parameters` are those that differ from the scenario's defaults; `isolation` is
    an override of the scenario's own level, one of `ISOLATION_LEVELS`, or "" for none.
    """

    target: str
    parameters: Mapping[str, Any]
    isolation: str
    schedule: Schedule

    def __str__(self) -> str:
        return encode(self)


def token_for(scenario: Scenario, schedule: Schedule, isolation: str) -> ReplayToken:
    """The token of one execution of a scenario; `isolation` is "" unless the level was overridden."""
    return ReplayToken(target_of(scenario), parameters_of(scenario, changed_only=True), isolation, schedule)


def scenario_of(token: ReplayToken, cls: type[Scenario]) -> Scenario:
    """The scenario that a token is about, built from its class.

    Raises `TokenError` when the class no longer has the token's parameters or the actors of its schedule.
    """
    fields = {each.name: each for each in dataclasses.fields(cls) if each.init}
    for name in token.parameters:
        if name not in fields:
            raise _changed(cls, f"has no parameter {_shown(name)} as the token sets it, only {_listed(fields)}")
    for name, each in fields.items():
        optional = each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING
        if not optional and name not in token.parameters:
            raise _changed(cls, f"needs a parameter {_shown(name)}, which the token does not set")
    actors = [each.name for each in actors_of(cls)]
    for name in dict.fromkeys(token.schedule):
        if (fault := _fault(name)) is not None:
            if fault.kind not in cls.faults or fault.victim not in (*actors, SERVER):
                raise _changed(cls, f"does not meet the fault {_shown(name)} of the token's schedule")
            continue
        root, _, number = name.rpartition("/")
        if name not in actors and not (root in actors and number.isdecimal()):
            raise _changed(cls, f"has no actor {_shown(name)} as the token's schedule names it, only {_listed(actors)}")
    try:
        return cls(**token.parameters)
    except Exception as error:
        raise _changed(
            cls, f"refuses the token's parameters with {type(error).__name__} {_shown(str(error))}"
        ) from error


def _fault(name: str) -> Fault | None:
    try:
        return Fault.named(name)
    except ValueError:  # an "@" in the name of something else
        return None


def _changed(cls: type[Scenario], what: str) -> TokenError:
    return TokenError(
        f"{_clipped(target_of(cls))} {what}: the scenario changed since the token was made; hunt again for a new one"
    )


def encode(token: ReplayToken) -> str:
    """The text of a token. Raises `TokenError` when a parameter or another part cannot be carried in text."""
    module, _, name = token.target.partition(":")
    if not module or not name:
        raise TokenError(f"a replay token cannot name the target {_shown(token.target)}; expected module:Class")
    if token.isolation not in _CODES:
        raise TokenError(
            f"a replay token cannot carry the isolation level {_shown(token.isolation)}; "
            f"expected {', '.join(ISOLATION_LEVELS)} or nothing"
        )
    body = ":".join(
        (
            VERSION,
            _quoted(module, _IN_TARGET),
            _quoted(name, _IN_TARGET),
            ",".join(_parameter(name, value) for name, value in token.parameters.items()),
            _CODES[token.isolation],
            _schedule(token.schedule),
            _quoted(token.schedule.choices, _ALPHANUMERIC),
        )
    )
    if len(body) > MOST_CHARACTERS - CHECKSUM_LENGTH - 1:
        raise TokenError(
            f"a replay token of {len(body)} characters would be too long, at most {MOST_CHARACTERS} are read; "
            "make the scenario's parameters smaller"
        )
    return f"{body}:{_checksum(body)}"


def _parameter(name: str, value: object) -> str:
    refused = _refusal(value)
    if not refused:
        try:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        except ValueError:
            refused = f"an int of more than {sys.get_int_max_str_digits()} digits"
    if refused:
        raise TokenError(
            f"the parameter {_shown(name)} is or holds {refused}, which a replay token cannot carry; use {_CARRIED}"
        )
    written = f"@{_quoted(value, _IN_VALUE)}" if isinstance(value, str) else _quoted(text, _IN_VALUE)
    return f"{_quoted(name, _ALPHANUMERIC)}={written}"


def _refusal(value: object, depth: int = 0) -> str:
    """Why a token cannot carry a value, or "". Exact types only: a subclass would come back as its base."""
    if depth > MOST_NESTING:
        return f"a {type(value).__name__} nested more than {MOST_NESTING} deep"
    inner: tuple[object, ...] = ()
    if type(value) is dict:
        if odd := [key for key in value if type(key) is not str]:
            return f"a dict with a key of type {_clipped(type(odd[0]).__name__)}"
        inner = tuple(value.values())
    elif type(value) is list or type(value) is tuple:
        inner = tuple(value)
    elif type(value) is float and not math.isfinite(value):
        return f"the float {value}"
    elif value is not None and type(value) not in (bool, int, float, str):
        return f"a value of type {_clipped(type(value).__name__)}"
    return next(filter(None, (_refusal(each, depth + 1) for each in inner)), "")


def _schedule(schedule: Schedule) -> str:
    if len(schedule) > MOST_STEPS:
        raise TokenError(
            f"a schedule of {len(schedule)} steps is too long for a replay token, which holds at most {MOST_STEPS}; "
            "run the scenario with a lower step limit"
        )
    readable = ".".join(_run(_quoted(name, _IN_RUN), count) for name, count in schedule.runs)
    return readable if len(readable) <= READABLE_LENGTH else min(readable, _packed(schedule), key=len)


def _run(name: str, count: int) -> str:
    if not name or name[-1].isdigit() or "-" in name:
        return f"{name}-{count}"
    return name if count == 1 else f"{name}{count}"


def _packed(schedule: Schedule) -> str:
    index = {name: i for i, name in enumerate(dict.fromkeys(schedule))}
    width = _width(len(index))
    # The bit in front keeps the leading zeros, and so the number of steps.
    bits = "1" + "".join(format(index[name], f"0{width}b") for name in schedule)
    data = int(bits, 2).to_bytes((len(bits) + 7) // 8, "big")
    names = ".".join(_quoted(name, _IN_NAME) for name in index)
    return f"+{names}@{base64.urlsafe_b64encode(data).decode().rstrip('=')}"


def _width(names: int) -> int:
    return max(1, (names - 1).bit_length())


def _quoted(text: str, safe: frozenset[int]) -> str:
    """Percent-encoded UTF-8; lone surrogates, which a Python string may hold, are carried too."""
    return "".join(chr(byte) if byte in safe else f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def _checksum(body: str) -> str:
    return base64.b32encode(hashlib.sha256(body.encode()).digest())[:CHECKSUM_LENGTH].decode().lower()


def decode(text: str) -> ReplayToken:
    """What a token's text says. White space around it is ignored; lists come back as tuples.

    Raises `TokenError`, and nothing else for any text, with one sentence that names the cause.
    """
    fields = _fields(text.strip())
    module, name = (_unquoted(part, f"{what} name") for part, what in zip(fields[1:3], FIELDS[1:3], strict=True))
    if not module or not name:
        _bad("target", f"{fields[1]}:{fields[2]}", "module:Class")
    parameters = _parameters(fields[3])
    if fields[4] not in _LEVELS:
        _bad("isolation level", fields[4], f"one of {', '.join(_LEVELS)}")
    decisions = _unpacked(fields[5]) if fields[5].startswith("+") else _unrolled(fields[5])
    schedule = Schedule(decisions, _unquoted(fields[6], "digest of the choices"))
    return ReplayToken(f"{module}:{name}", parameters, _LEVELS[fields[4]], schedule)


def _fields(text: str) -> list[str]:
    """The fields of a token that is of this version, whole and intact."""
    version = re.match(r"lab[0-9]+(?=:|$)", text)
    if version is None:
        raise TokenError(f"{_shown(text)} is no replay token: expected text that begins with {VERSION}:; {_COPY}")
    if version[0] != VERSION:
        raise TokenError(
            f"the replay token is of version {_clipped(version[0])}, but this lab reads {VERSION}; "
            "replay it with the version of the lab that made it"
        )
    if len(text) > MOST_CHARACTERS:
        raise TokenError(f"the replay token has {len(text)} characters, at most {MOST_CHARACTERS} are read; {_COPY}")
    if foreign := _FOREIGN.search(text):
        raise TokenError(
            f"the replay token holds {foreign[0]!a} as its character {foreign.start() + 1}, "
            f"expected only letters, digits and _ . : , = % + - / @; {_COPY}"
        )
    fields = text.split(":")
    if len(fields) != len(FIELDS):
        cause = "was cut short" if len(fields) < len(FIELDS) else "has something added"
        raise TokenError(f"the replay token {cause}: it has {len(fields)} fields, expected {len(FIELDS)}; {_COPY}")
    if len(fields[-1]) < CHECKSUM_LENGTH:
        raise TokenError(
            f"the replay token was cut short: its checksum has {len(fields[-1])} characters, "
            f"expected {CHECKSUM_LENGTH}; {_COPY}"
        )
    expected = _checksum(text.rpartition(":")[0])
    if fields[-1] != expected:
        raise TokenError(
            f"the replay token was mistyped or cut: it ends with the checksum {_clipped(fields[-1])}, "
            f"but its text gives {expected}; {_COPY}"
        )
    return fields


def _parameters(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in text.split(",") if text else ():
        quoted, equals, written = part.partition("=")
        name = _unquoted(quoted, "parameter name")
        if not equals or name in found:
            _bad("parameters", part, "each once, as name=value")
        if written.startswith("@"):
            found[name] = _unquoted(written[1:], "parameter value")
        else:
            found[name] = _value(name, _unquoted(written, "parameter value"))
    return found


def _value(name: str, text: str) -> object:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # ValueError covers JSON's own error and ints with too many digits
        _bad(f"parameter {_shown(name)}", text, "JSON or @text")
    if refused := _refusal(value):
        _bad(f"parameter {_shown(name)}", text, f"{_CARRIED}, not {refused}")
    return _frozen(value)


def _frozen(value: object) -> object:
    """Lists as tuples, since a frozen scenario wants values that can be hashed."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return {key: _frozen(each) for key, each in value.items()}
    return value


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
            _bad("schedule", run, f"runs of a name and a count, at most {MOST_STEPS} steps in all")
        decisions += [_unquoted(name, "actor name")] * steps
    return tuple(decisions)


def _unpacked(text: str) -> tuple[str, ...]:
    quoted, _, data = text[1:].partition("@")
    names = [_unquoted(name, "actor name") for name in quoted.split(".")]
    width = _width(len(names))
    if not re.fullmatch(r"[A-Za-z0-9_-]+", data) or len(data) % 4 == 1:
        _bad("packed schedule", data, "+names@base64url")
    number = int.from_bytes(base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)), "big")
    bits = f"{number:b}"[1:]
    if not number or len(bits) % width or len(bits) // width > MOST_STEPS:
        _bad("packed schedule", data, f"{width} bits for each of at most {MOST_STEPS} steps")
    indexes = [int(bits[i : i + width], 2) for i in range(0, len(bits), width)]
    if indexes and max(indexes) >= len(names):
        _bad("packed schedule", data, f"only decisions among its {len(names)} actors")
    return tuple(names[index] for index in indexes)


def _unquoted(text: str, what: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        _bad(what, text, "two hexadecimal digits after each %")
    try:
        return unquote_to_bytes(text).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        _bad(what, text, "UTF-8 in percent-encoding")


def _bad(what: str, met: str, expected: str) -> NoReturn:
    raise TokenError(f"the replay token's {what} reads {_shown(met)}, expected {expected}; {_RENEW}") from None


def _shown(text: str) -> str:
    """A text from outside for a message: quoted, on one line, in ASCII, cut at a length."""
    return _clipped(ascii(text[:40]), 40)


def _clipped(text: str, length: int = 50) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _listed(names: Iterable[str]) -> str:
    return _clipped(ascii(", ".join(names))[1:-1]) or "none"
