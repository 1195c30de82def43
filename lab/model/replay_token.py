"""Replay tokens: a schedule, and what it is a schedule of, as one line of text.

    lab1:scenarios.transfer:LostUpdate:amount=30,mode=@fast:rc:alice2.bob4.alice2:abcde:invariant.P4.k3fx:k3f9x2

The fields are version, module, class, parameters that are not the default, isolation level (`-`: as the
scenario says), schedule, digest of the choices met, verdict, and a checksum over all before it. The verdict is left out
where nothing was broken, and was not written by the first labs. In version `lab2` the first step of an actor is its
beginning; in `lab1` all have begun before the first step. A token travels through chats, CI logs and shells, so:

- it holds only characters that no shell treats specially in the middle of a word; all others are
  percent-encoded as UTF-8;
- a reader can see what it replays. `alice2.bob4` is two steps of alice, then four of bob (see `schedule_text`);
  parameters are JSON, or `@` and then plain text;
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
from typing import TYPE_CHECKING, Any

from lab.errors import TokenError
from lab.model.decision import SERVER, Strike
from lab.model.decision_text import decision_text
from lab.model.schedule import Schedule
from lab.model.schedule_text import ALPHANUMERIC, decisions_of, quoted, refuse, schedule_text, unquoted
from lab.model.text import clipped, shown
from lab.model.token_verdict import TokenVerdict, verdict_in, verdict_of
from lab.scenario.declare import ISOLATION_LEVELS, Scenario, actors_of, parameters_of, target_of

if TYPE_CHECKING:
    from lab.model.record import ExecutionRecord

__all__ = ["ReplayToken", "decode", "encode", "scenario_of", "token_for", "token_of"]

VERSION = "lab1"
WITH_STARTS = "lab2"
"""Also says that an actor begins: who is first is part of the schedule. What older labs wrote has no such decisions."""
VERSIONS = (VERSION, WITH_STARTS)
FIELDS = ("version", "module", "class", "parameters", "isolation", "schedule", "choices", "checksum")
"""Of a token without a verdict, which stands before the checksum."""
CHECKSUM_LENGTH = 6
MOST_CHARACTERS = 1_000_000
MOST_NESTING = 32

_LEVELS = dict(zip(("-", "rc", "rr", "ser"), ("", *ISOLATION_LEVELS), strict=True))
_CODES = {level: code for code, level in _LEVELS.items()}
_IN_TARGET = ALPHANUMERIC | set(b".-")
_IN_VALUE = ALPHANUMERIC | set(b".+-/")
_FOREIGN = re.compile(r"[^A-Za-z0-9_.:,=%+\-/@]")
_CARRIED = "numbers, text, True, False, None, and lists and mappings of these (keys: text)"
_COPY = "copy the whole token again"


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
    verdict: TokenVerdict | None = None
    """How the execution was judged; None where nothing was broken, and where it is not known."""

    def __str__(self) -> str:
        return encode(self)


def token_for(scenario: Scenario, schedule: Schedule, isolation: str) -> ReplayToken:
    """The token of a schedule of a scenario; `isolation` is "" unless the level was overridden."""
    return ReplayToken(target_of(scenario), parameters_of(scenario, changed_only=True), isolation, schedule)


def token_of(record: ExecutionRecord, isolation: str) -> ReplayToken:
    """The token of one execution, with its verdict; `isolation` is "" unless the level was overridden."""
    return dataclasses.replace(token_for(record.scenario, record.schedule, isolation), verdict=verdict_of(record))


def scenario_of(token: ReplayToken, cls: type[Scenario]) -> Scenario:
    """The scenario that a token names, built from its class.

    Raises `TokenError` when the class no longer has the token's parameters or the actors of its schedule. Which faults
    there are, this does not know: one that is unknown is refused where the execution is put together.
    """
    fields = {each.name: each for each in dataclasses.fields(cls) if each.init}
    for name in token.parameters:
        if name not in fields:
            raise _changed(cls, f"has no parameter {shown(name)}, which the token sets, only {_listed(fields)}")
    for name, each in fields.items():
        optional = each.default is not dataclasses.MISSING or each.default_factory is not dataclasses.MISSING
        if not optional and name not in token.parameters:
            raise _changed(cls, f"needs a parameter {shown(name)}, which the token does not set")
    actors = [each.name for each in actors_of(cls)]
    for decision in dict.fromkeys(token.schedule):
        text = shown(decision_text(decision))
        if isinstance(decision, Strike):
            if decision.actor not in (SERVER, *actors):
                raise _changed(cls, f"has no actor that {text} of the token's schedule could strike")
        elif not _is_actor(decision.actor, actors):
            raise _changed(cls, f"has no actor {text}, which the token's schedule names, only {_listed(actors)}")
    try:
        return cls(**token.parameters)
    except Exception as error:
        raise _changed(
            cls, f"refuses the token's parameters with {type(error).__name__} {shown(str(error))}"
        ) from error


def _is_actor(name: str, actors: list[str]) -> bool:
    """Whether a name is that of an actor or of one of its tasks."""
    root, _, number = name.rpartition("/")
    return name in actors or (root in actors and number.isdecimal())


def _changed(cls: type[Scenario], what: str) -> TokenError:
    return TokenError(
        f"{clipped(target_of(cls))} {what}: the scenario changed since the token was made; hunt again for a new one"
    )


def encode(token: ReplayToken) -> str:
    """The text of a token. Raises `TokenError` when a parameter or another part cannot be carried in text."""
    module, _, name = token.target.partition(":")
    if not module or not name:
        raise TokenError(f"a replay token cannot name the target {shown(token.target)}; expected module:Class")
    if token.isolation not in _CODES:
        raise TokenError(
            f"a replay token cannot carry the isolation level {shown(token.isolation)}; "
            f"expected {', '.join(ISOLATION_LEVELS)} or nothing"
        )
    body = ":".join(
        (
            WITH_STARTS if token.schedule.starts else VERSION,
            quoted(module, _IN_TARGET),
            quoted(name, _IN_TARGET),
            ",".join(_parameter(name, value) for name, value in token.parameters.items()),
            _CODES[token.isolation],
            schedule_text(token.schedule),
            quoted(token.schedule.choices, ALPHANUMERIC),
            *([] if token.verdict is None else [str(token.verdict)]),
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
            f"the parameter {shown(name)} is or holds {refused}, which a replay token cannot carry; use {_CARRIED}"
        )
    written = f"@{quoted(value, _IN_VALUE)}" if isinstance(value, str) else quoted(text, _IN_VALUE)
    return f"{quoted(name, ALPHANUMERIC)}={written}"


def _refusal(value: object, depth: int = 0) -> str:
    """Why a token cannot carry a value, or "". Exact types only: a subclass would come back as its base."""
    if depth > MOST_NESTING:
        return f"a {type(value).__name__} nested more than {MOST_NESTING} deep"
    inner: tuple[object, ...] = ()
    if type(value) is dict:
        if odd := [key for key in value if type(key) is not str]:
            return f"a dict with a key of type {clipped(type(odd[0]).__name__)}"
        inner = tuple(value.values())
    elif type(value) is list or type(value) is tuple:
        inner = tuple(value)
    elif type(value) is float and not math.isfinite(value):
        return f"the float {value}"
    elif value is not None and type(value) not in (bool, int, float, str):
        return f"a value of type {clipped(type(value).__name__)}"
    return next(filter(None, (_refusal(each, depth + 1) for each in inner)), "")


def _checksum(body: str) -> str:
    return base64.b32encode(hashlib.sha256(body.encode()).digest())[:CHECKSUM_LENGTH].decode().lower()


def decode(text: str) -> ReplayToken:
    """The token that a text holds. White space around it is ignored; lists come back as tuples.

    Raises `TokenError`, and nothing else for any text, with one sentence that names the cause.
    """
    fields = _fields(text.strip())
    module, name = (unquoted(part, f"{what} name") for part, what in zip(fields[1:3], FIELDS[1:3], strict=True))
    if not module or not name:
        refuse("target", f"{fields[1]}:{fields[2]}", "module:Class")
    parameters = _parameters(fields[3])
    if fields[4] not in _LEVELS:
        refuse("isolation level", fields[4], f"one of {', '.join(_LEVELS)}")
    choices = unquoted(fields[6], "digest of the choices")
    schedule = Schedule(decisions_of(fields[5]), choices, fields[0] == WITH_STARTS)
    verdict = verdict_in(fields[7]) if len(fields) > len(FIELDS) else None
    return ReplayToken(f"{module}:{name}", parameters, _LEVELS[fields[4]], schedule, verdict)


def _fields(text: str) -> list[str]:
    """The fields of a token that is of this version, whole and intact."""
    version = re.match(r"lab[0-9]+(?=:|$)", text)
    if version is None:
        raise TokenError(f"{shown(text)} is not a replay token: expected text that begins with {VERSION}:; {_COPY}")
    if version[0] not in VERSIONS:
        raise TokenError(
            f"the replay token is of version {clipped(version[0])}, but this lab reads {' and '.join(VERSIONS)}; "
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
    if len(fields) not in (len(FIELDS), len(FIELDS) + 1):
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
            f"the replay token was mistyped or cut: it ends with the checksum {clipped(fields[-1])}, "
            f"but its text gives {expected}; {_COPY}"
        )
    return fields


def _parameters(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in text.split(",") if text else ():
        before, equals, written = part.partition("=")
        name = unquoted(before, "parameter name")
        if not equals or name in found:
            refuse("parameters", part, "each once, as name=value")
        if written.startswith("@"):
            found[name] = unquoted(written[1:], "parameter value")
        else:
            found[name] = _value(name, unquoted(written, "parameter value"))
    return found


def _value(name: str, text: str) -> object:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # ValueError covers JSON's own error and ints with too many digits
        refuse(f"parameter {shown(name)}", text, "JSON or @text")
    if refused := _refusal(value):
        refuse(f"parameter {shown(name)}", text, f"{_CARRIED}, not {refused}")
    return _frozen(value)


def _frozen(value: object) -> object:
    """Lists as tuples, since a frozen scenario wants values that can be hashed."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return {key: _frozen(each) for key, each in value.items()}
    return value


def _listed(names: Iterable[str]) -> str:
    return clipped(ascii(", ".join(names))[1:-1]) or "none"
