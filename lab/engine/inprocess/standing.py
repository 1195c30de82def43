"""What each actor waits for and what it has, when nobody can go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from lab.engine.gate import Actor, State
from lab.engine.inprocess.anyio_things import LIMITER
from lab.engine.inprocess.book import Book, Taking
from lab.engine.inprocess.called import name_of
from lab.engine.inprocess.families import seen_in
from lab.engine.inprocess.family import Seen, kind_of
from lab.engine.inprocess.threads import THREAD
from lab.engine.ports import AnyPool
from lab.engine.stalls import is_the_users, line_of_task, stack_of
from lab.model.stall import Held, Holder, Stall, Want

__all__ = ["stalls_of"]


def stalls_of(
    actors: Collection[Actor],
    book: Book | None,
    in_threads: Mapping[asyncio.Future[Any], Actor],
    pool_among: Callable[[Iterable[object]], AnyPool | None],
) -> tuple[Stall, ...]:
    """Where the actors stand that have not ended, by name. `book` says who took what, None where nobody noted it.

    `in_threads`: task -> the actor in whose thread somebody waits for it; `pool_among`: see `Libraries`.
    """
    return tuple(_Standing(actors, book, in_threads, pool_among).stalls())


class _Standing:
    def __init__(
        self,
        actors: Collection[Actor],
        book: Book | None,
        in_threads: Mapping[asyncio.Future[Any], Actor],
        pool_among: Callable[[Iterable[object]], AnyPool | None],
    ) -> None:
        self._left = [actor for actor in actors if actor.state is not State.DONE]
        self._tasks: dict[object, Actor] = {actor.task: actor for actor in actors if actor.task is not None}
        self._tasks |= {id(task): actor for task, actor in self._tasks.items()}
        self._book, self._in_threads, self._pool_among = book, in_threads, pool_among
        self._stacks = {actor: stack_of(actor.task) for actor in self._left}
        self._unnamed: dict[int, str] = {}
        """What is known by its kind alone, by its `id`."""
        self._frames = [frame for stack in self._stacks.values() for frame in reversed(stack) if is_the_users(frame)]

    def stalls(self) -> Iterator[Stall]:
        found = {actor: self._seen(actor) for actor in self._left if actor.state is State.STALLED}
        wanted = [each for _, things in found.values() for each in things]
        self._unnamed = {id(seen.thing): seen.kind for seen, _ in found.values() if not seen.named}
        for actor in self._left:
            held = self._held(actor, wanted)
            if actor.state is State.WAITING:
                yield Stall(actor.name, actor.action.text, actor.wait, holds=held)
            else:
                want = self._want(actor, *found[actor]) if actor in found else None
                yield Stall(actor.name, line_of_task(actor.task), wants=want, holds=held)

    def _seen(self, actor: Actor) -> tuple[Seen, list[object]]:
        """What an actor waits for, and all that may be known by a name or in the book."""
        stack = self._stacks[actor]
        last = max((number for number, frame in enumerate(stack) if is_the_users(frame)), default=-1)
        assert actor.task is not None
        seen, through = seen_in(actor.task, stack[last + 1 :], self._pool_among)
        return seen, [
            seen.thing,
            *(each for each in through if each is not seen.thing),
        ] if seen.thing is not None else []

    def _want(self, actor: Actor, seen: Seen, things: Sequence[object]) -> Want:
        if seen.ends:
            owners: Sequence[object] = seen.owners
            if seen.kind is THREAD:
                owners = [task for task, other in self._in_threads.items() if other is actor and not task.done()]
            ended = (self._tasks.get(task) for task in owners)
            holders = sorted((each for each in ended if each is not None), key=lambda each: each.rank)
            return Want(_end_of(seen), holders=tuple(Holder(each.name) for each in holders), ends=True)
        takers = self._takers(seen, things)
        act = "" if takers else seen.act
        if not (takers or act) and self._book is not None:
            takers = (Holder(""),)
        called = self._called(seen.kind, things, actor) if seen.named else seen.kind
        return Want(called, seen.state, act, takers)

    def _takers(self, seen: Seen, things: Sequence[object]) -> tuple[Holder, ...]:
        takings = [] if self._book is None else self._book.of(things)
        known = {each.actor.name: _holder(each) for each in takings}
        for owner in seen.owners:
            if (actor := self._tasks.get(owner)) is not None and actor.name not in known:
                known[actor.name] = Holder(actor.name, ended=actor.state is State.DONE)
        return tuple(known.values())

    def _held(self, actor: Actor, wanted: Collection[object]) -> tuple[Held, ...]:
        if self._book is None:
            return ()
        sought = {id(each) for each in wanted}
        takings = [
            each
            for each in self._book.by(actor)
            if id(each.thing) in sought or (each.direct and type(each.thing) is not LIMITER)  # each thread takes one
        ]
        return tuple(Held(self._what(each), each.place, each.step) for each in takings)

    def _what(self, taking: Taking) -> str:
        return self._unnamed.get(id(taking.thing)) or self._called(_kind(taking.thing), (taking.thing,), taking.actor)

    def _called(self, kind: str, things: Collection[object], actor: Actor) -> str:
        own: list[FrameType] = [each for each in reversed(self._stacks[actor]) if is_the_users(each)]
        name = name_of(things, own) or name_of(things, self._frames) if things else ""
        return f"{kind} `{name}`" if name else kind


def _end_of(seen: Seen) -> str:
    return f"{seen.kind}, which waits for a task" if seen.kind is THREAD else f"{seen.kind}, which has not ended"


def _holder(taking: Taking) -> Holder:
    return Holder(taking.actor.name, taking.place, taking.step, taking.actor.state is State.DONE)


def _kind(thing: object) -> str:
    library = type(thing).__module__.partition(".")[0]
    return kind_of(thing, library) if library in ("asyncio", "anyio") else type(thing).__name__
