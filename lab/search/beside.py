"""Work beside the executions of this process: on an event loop of its own, in a thread.

Nothing of it may stand in the loop of the executions: there a pipe would be one more thing that an actor may wait for.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

__all__ = ["Beside"]


class Beside:
    """Begins at once. What `work` raises, `over` raises, but for its cancellation."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._work = work
        self._over: Future[None] = Future()
        self._over.set_running_or_notify_cancel()
        self._lock = threading.Lock()
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False
        context = contextvars.copy_context()  # the watchdog and its bounds hold here as well
        threading.Thread(target=context.run, args=(self._run,), name="lab-beside", daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._over.done()

    async def over(self) -> None:
        """Wait for its end. Who waits and is cancelled cancels it, waits for what it makes of that, and stays so."""
        try:
            await asyncio.wrap_future(self._over)
        except asyncio.CancelledError:
            self.cancel()
            await asyncio.wrap_future(self._over)
            raise

    def cancel(self) -> None:
        """Ask it to end."""
        with self._lock:
            self._cancelled = True
            if self._task is not None and not self.is_over:
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def _run(self) -> None:
        try:
            with contextlib.suppress(asyncio.CancelledError):  # who cancelled it knows
                asyncio.run(self._perform())
        except BaseException as error:  # noqa: BLE001 - raised where somebody waits for it
            self._over.set_exception(error)
        else:
            self._over.set_result(None)

    async def _perform(self) -> None:
        with self._lock:
            self._task = asyncio.current_task()
            if self._cancelled:
                raise asyncio.CancelledError
        try:
            await self._work()
        finally:
            with self._lock:
                self._task = None
