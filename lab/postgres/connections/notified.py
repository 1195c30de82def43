"""A connection whose notifications come at moments that the schedule decides; see `messages`."""

from __future__ import annotations

from typing import Any

import asyncpg

from lab.engine.gate import Actor, current_actor, running_as

__all__ = ["Notified"]


class Notified(asyncpg.Connection):  # type: ignore[misc]
    """An asyncpg connection that keeps what arrives until it may be handed on."""

    def __init__(self, protocol: Any, *args: Any) -> None:
        super().__init__(protocol, *args)
        self._listener: Actor | None = None
        """Who listens for notifications: what its callbacks do is done for it."""
        self._notified: list[tuple[int, str, str]] = []
        """Notifications that came while nothing was under way here: process id, channel, payload."""
        self._waiting_for: Actor | None = None
        """Whose operation is under way here."""

    async def add_listener(self, channel: str, callback: Any) -> None:
        """What asyncpg does; notifications then come at moments that the schedule decides."""
        self._listener = current_actor()
        await super().add_listener(channel, callback)

    @property
    def may_be_notified(self) -> bool:
        """Whether an actor listens here, and PostgreSQL would send it what it has: no transaction is open."""
        if not self._listeners or self._listener is None or self._waiting_for is not None:
            return False
        return not self.is_closed() and not self.transaction_open

    def hand_on(self) -> bool:
        """Call the listeners for what came. False if nothing did."""
        notified, self._notified = self._notified, []
        with running_as(self._listener):
            for each in notified:
                super()._process_notification(*each)
        return bool(notified)

    def _process_notification(self, pid: int, channel: str, payload: str) -> None:
        """A notification arrived. When it does is chance, unless an operation of an actor's ends here with it."""
        self._notified.append((pid, channel, payload))
        if self._waiting_for is not None:
            self.hand_on()
