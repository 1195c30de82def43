"""The actors' source of chance: equal schedules give equal random numbers, tokens and UUIDs.

Each actor draws from a stream of its own, seeded by its name. So what it draws depends on how far it has come and not
on who went before it: two executions in which it does the same draw the same, also when the others come in between
elsewhere. A stream is made when it is first drawn from; an actor that draws nothing costs nothing.

- `random`, and whoever imported its functions: they are methods of one hidden generator, which becomes one of a class
  that asks the actor's stream. Two functions are its methods in C and go past its class; they are replaced in the
  module. For who imported these two by name the generator itself is seeded in each execution, and its state put back
  afterwards, so Hypothesis's own seeding, and everybody else's, is as it was.
- A new `random.Random()` without a seed, `secrets`, `uuid4`, `random.SystemRandom`, numpy's fresh generators: they come
  to `os.urandom`, by one of two names, or are made to. It answers everybody who is no actor as before.
- `uuid1` asks the clock and `random` while the clock is the lab's; see `lab.engine.clock`.
- `numpy.random`'s global generator, where numpy is loaded: it is seeded before each step by its actor and the number of
  that step among its own.

Out of reach: a reference to `os.urandom` itself that a module took at its import, OpenSSL's generator, and the order of
sets of texts, which is fixed for the time of a process.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lab.engine.gate import current_actor

__all__ = ["Chance"]

_HIDDEN: Any = random._inst  # noqa: SLF001 - nothing public leads to it
_URANDOM = "_urandom"
_NEW_SEED = 32
"""Bytes for a generator without a seed; Python takes 2,496 from the system."""


class Chance:
    """The streams of one execution, and the generators that draw from them."""

    def __init__(self) -> None:
        self._streams: dict[str, random.Random] = {}
        self._bytes: dict[str, random.Random] = {}
        self._steps: Counter[str] = Counter()
        self._numpy: Any = sys.modules.get("numpy.random")

    def begin_step(self, actor: str) -> None:
        """The code of this actor runs next."""
        if self._numpy is not None:
            self._steps[actor] += 1
            self._numpy.seed(random.Random(f"{actor}:{self._steps[actor]}").getrandbits(32))  # noqa: S311 - see above

    def stream(self) -> random.Random | None:
        """That of `random` for the actor whose code runs; None where none does."""
        return self._of_actor(self._streams, "random")

    def urandom(self, size: int) -> bytes | None:
        """Bytes for the actor whose code runs; None where none does."""
        stream = self._of_actor(self._bytes, "bytes")
        return None if stream is None else stream.randbytes(size)

    @staticmethod
    def _of_actor(streams: dict[str, random.Random], kind: str) -> random.Random | None:
        actor = current_actor()
        if actor is None:
            return None
        if actor.name not in streams:
            streams[actor.name] = random.Random(f"{kind} of {actor.name}")  # noqa: S311 - see above
        return streams[actor.name]

    @contextlib.contextmanager
    def given_to_actors(self) -> Iterator[None]:
        """Actors draw from their streams until the block ends."""
        kind, state = type(_HIDDEN), _HIDDEN.getstate()
        numpy = None if self._numpy is None else self._numpy.get_state()
        before = [(owner, name, vars(owner)[name]) for owner, name in _PLACES]
        _HIDDEN.seed(0)
        _HIDDEN.__class__, _HIDDEN.chance = _Drawing, self
        for (owner, name, old), new in zip(before, self._replacements(), strict=True):
            setattr(owner, name, new(old))
        try:
            yield
        finally:
            for owner, name, old in before:
                setattr(owner, name, old)
            _HIDDEN.__class__ = kind
            del _HIDDEN.chance
            _HIDDEN.setstate(state)
            if numpy is not None:
                self._numpy.set_state(numpy)

    def _replacements(self) -> tuple[Any, ...]:
        """For each of `_PLACES` what makes the new value from the old one."""

        def urandom(real: Any) -> Any:
            return lambda size, /: real(size) if (given := self.urandom(size)) is None else given

        def method(name: str) -> Any:
            def drawn(*args: Any, **named: Any) -> Any:
                return getattr(self.stream() or _HIDDEN, name)(*args, **named)

            return lambda real: drawn

        def seed(real: Any) -> Any:
            def seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
                fresh = self.urandom(_NEW_SEED) if a is None else None
                real(generator, a if fresh is None else fresh, version)

            return seed

        return urandom, urandom, method("random"), method("getrandbits"), method("seed"), seed


_PLACES: tuple[tuple[Any, str], ...] = (
    (os, "urandom"),
    (random, _URANDOM),
    (random, "random"),
    (random, "getrandbits"),
    (random, "seed"),
    (random.Random, "seed"),
)


class _Drawing(random.Random):
    """The class of the hidden generator during an execution: an actor gets what its own stream gives."""

    chance: Chance

    def random(self) -> float:
        stream = self.chance.stream()
        return super().random() if stream is None else stream.random()

    def getrandbits(self, k: int, /) -> int:
        stream = self.chance.stream()
        return super().getrandbits(k) if stream is None else stream.getrandbits(k)

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        """Its own as well, since a generator keeps every second number for later."""
        stream = self.chance.stream()
        return super().gauss(mu, sigma) if stream is None else stream.gauss(mu, sigma)
