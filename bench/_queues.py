"""A discrete-event simulation of a hunt over a cluster: who waits for whom, with given times.

Each order goes from the lab's process to the one beside it, to dask's scheduler, over the network to a worker, and back
the same way. The first three do one thing at a time; workers are many. As many orders are under way as the lab lets be.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Flow", "Times", "simulated"]


@dataclass(frozen=True)
class Times:
    """Seconds for one order: of each station on the way there and on the way back, and of a message."""

    lab_out: float
    lab_in: float
    bridge: float
    scheduler: float
    message: float


@dataclass(frozen=True)
class Flow:
    """What came of it: orders a second, and the share of the time in which each station had something to do."""

    rate: float
    lab: float
    bridge: float
    scheduler: float
    workers: float


class _Station:
    """Some servers that take whoever comes first."""

    def __init__(self, servers: int = 1) -> None:
        self.free, self.busy = [0.0] * servers, 0.0

    def through(self, now: float, seconds: float) -> float:
        """When somebody who comes now is done here."""
        done = max(now, heapq.heappop(self.free)) + seconds
        heapq.heappush(self.free, done)
        self.busy += seconds
        return done


def simulated(times: Times, workers: int, under_way: int, orders: int, length: Callable[[int], float]) -> Flow:
    """`orders` through the stations, `under_way` at once at most. `length`: of an order's work, by its number."""
    chance = random.Random(0)

    def begun_before(number: int) -> float:
        """Workers are not in step: the first order of each is as one of which a part was done already."""
        return chance.random() if number < workers else 1.0

    lab, bridge, scheduler, crowd = _Station(), _Station(), _Station(), _Station(workers)
    way = (
        lambda now, number: lab.through(now, times.lab_out),
        lambda now, number: bridge.through(now, times.bridge / 2),
        lambda now, number: scheduler.through(now, times.scheduler / 2) + times.message,
        lambda now, number: crowd.through(now, length(number) * begun_before(number)) + times.message,
        lambda now, number: scheduler.through(now, times.scheduler / 2),
        lambda now, number: bridge.through(now, times.bridge / 2),
        lambda now, number: lab.through(now, times.lab_in),
    )
    events = [(0.0, number, 0) for number in range(min(under_way, orders))]
    begun, done, skipped, since, now = len(events), 0, orders // 4, 0.0, 0.0
    while events:
        now, number, stage = heapq.heappop(events)
        if stage < len(way):
            heapq.heappush(events, (way[stage](now, number), number, stage + 1))
            continue
        done += 1
        if done == skipped:
            since = now
        if begun < orders:
            heapq.heappush(events, (now, begun, 0))
            begun += 1
        else:
            break  # from here on workers fall idle, and so they would at the end of any hunt
    return Flow(
        (done - skipped) / (now - since),
        *(station.busy / now for station in (lab, bridge, scheduler)),
        crowd.busy / now / workers,
    )
