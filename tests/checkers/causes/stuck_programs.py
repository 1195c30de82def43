"""Programs that stall over a lock of the process that one actor alone has, for the rules of stalls."""

from __future__ import annotations

import asyncio

from programs import anything, scenario

from lab import point

LOCK = asyncio.Lock()
ALARM = asyncio.Event()


async def audited(name):
    async with LOCK:
        await point(f"audited {name}")


async def locks_within_its_lock(session, name):
    async with LOCK:
        await point("called")
        await audited(name)


async def leaves_it_locked(session, name):
    await LOCK.acquire()
    await point("called")
    if name == "ann":
        return
    LOCK.release()


async def waits_for_an_alarm(session, name):
    await point("called")
    if name == "ben":
        await ALARM.wait()


STUCK = {
    "locks_within_its_lock": (scenario(locks_within_its_lock, anything), "lock taken twice"),
    "leaves_it_locked": (scenario(leaves_it_locked, anything), "lock never given back"),
    "waits_for_an_alarm": (scenario(waits_for_an_alarm, anything), "nobody left to wake it"),
}
