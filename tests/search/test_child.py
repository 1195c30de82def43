"""A process that dies before it is told anything is nobody's error."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal

from lab.search.child import early

GONE = os.WEXITED | os.WNOWAIT


async def test_nothing_is_reported_of_a_pipe_to_one_that_died():
    """On Python 3.11.2, which reports what nobody asked for; later versions keep silent by themselves."""
    loop, reported = asyncio.get_running_loop(), []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    try:
        async with early() as started:
            os.kill(started.process.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):  # asyncio's own thread was quicker to ask
                os.waitid(os.P_PID, started.process.pid, GONE)  # noqa: ASYNC222 - before the event loop learns of it
            assert started.process.stdin is not None
            started.process.stdin.write(b"a greeting\n")
        del started
        gc.collect()
        await asyncio.sleep(0)
    finally:
        loop.set_exception_handler(before)
    assert reported == []
