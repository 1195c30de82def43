"""Retry loops around actors, as people write them: all of the work again, in a new session, when the server refused it.

A loop that begins again at once can be refused for ever, if the others get no chance: each deadlock is then followed by
the next one. Real loops pause, and a pause that grows ends longer than the transaction of another. Under a remedy with
`pause` the loops are therefore as good as such loops get: whoever was refused begins again when nobody else is at work.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable

from lab.model.remedy import STALE, Remedy
from lab.postgres.recording.refusals import causes_of, reason_of, sqlstate_of

__all__ = ["Retries"]

RETRYABLE = frozenset({"40001", "40P01", STALE})
"""Serialization failure, deadlock, stale version: the same transaction may succeed next time."""


class Retries:
    """The loops of one execution. An error of the application itself is its answer, and ends its actor's loop."""

    def __init__(self, remedy: Remedy | None, actors: int) -> None:
        self.refused: Counter[str] = Counter()
        """SQLSTATE, or `STALE` -> attempts that it ended and that were made again."""
        self.most = 1
        """Attempts of the actor that made the most."""
        self._allowed = remedy.attempts if remedy else 1
        self._caught = RETRYABLE | (remedy.catches if remedy else frozenset())
        self._pauses = remedy is not None and remedy.pause
        self._at_work = actors
        self._pausing: deque[asyncio.Future[None]] = deque()

    async def around(self, once: Callable[[], Awaitable[object]]) -> object:
        """What an actor's task runs; `once` is one attempt."""
        try:
            for attempt in range(2, self._allowed + 1):
                try:
                    return await once()
                except Exception as error:
                    reason = _refusal(error)
                    if reason not in self._caught:
                        raise
                    self.refused[reason] += 1
                    self.most = max(self.most, attempt)
                if self._pauses:
                    await self._until_nobody_is_at_work()
            return await once()
        finally:
            self._leave()

    async def _until_nobody_is_at_work(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._pausing.append(turn)
        self._leave()
        await turn

    def _leave(self) -> None:
        """One less is at work; the last one lets the next one begin."""
        self._at_work -= 1
        while self._pausing and not self._at_work:
            turn = self._pausing.popleft()
            if not turn.done():
                self._at_work += 1
                turn.set_result(None)


def _refusal(error: BaseException) -> str:
    """Why the server refused the work, "" if it did not: of the error itself, or of one that it was raised from."""
    return reason_of(error) or next(filter(None, map(sqlstate_of, causes_of(error))), "")
