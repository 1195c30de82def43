"""Sockets that are not the lab's: who waits for an answer there is not stalled, however soon it comes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator

import pytest
from helpers.kit import Bank, Order, add, replays, told

from lab import actor
from lab.model.outcome import Ending

SERVED: list[asyncio.Task] = []


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    SERVED.append(asyncio.current_task())
    while line := await reader.readline():
        loop.call_later(0.02 if b"alice" in line else 0.01, writer.write, line)
    writer.close()
    await writer.wait_closed()


class _Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport) -> None:
        self.transport, self.answer = transport, None

    def datagram_received(self, data, address) -> None:
        if self.answer is None:
            asyncio.get_running_loop().call_later(0.02, self.transport.sendto, data, address)
        else:
            self.answer.set_result(data)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*SERVED)
    SERVED.clear()


class Asks(Bank):
    """Both ask a service elsewhere, before they write."""

    @actor(names=("alice", "bob"))
    async def work(self, session, name) -> str:
        answer = await self.ask(name)
        await session.execute(add(1))
        await session.commit()
        return answer


def _kept_alive(port):
    kept = {}

    class KeptAlive(Asks):
        async def ask(self, name) -> str:
            if name not in kept:
                kept[name] = await asyncio.open_connection("127.0.0.1", port)
            reader, writer = kept[name]
            writer.write(f"{name}\n".encode())
            return (await reader.readline()).decode()

    return KeptAlive(), kept


async def _identical(explorer, scenario) -> None:
    for order in ("", "bob"):
        record = await explorer.run(scenario, Order(order))
        assert record.outcome.ending is Ending.COMPLETED, record.stalls
        assert await replays(explorer, record, 5), told(record.trace)


async def test_a_connection_kept_for_the_next_execution_still_leads_elsewhere(explorer, port):
    scenario, kept = _kept_alive(port)
    await _identical(explorer, scenario)
    for _, writer in kept.values():
        writer.close()


async def test_one_that_setup_opened_does_too(explorer, port):
    scenario, kept = _kept_alive(port)
    for name in ("alice", "bob"):
        kept[name] = await asyncio.open_connection("127.0.0.1", port)
    await _identical(explorer, scenario)
    for _, writer in kept.values():
        writer.close()


async def test_a_socket_with_a_reader_of_its_own_leads_elsewhere(explorer):
    class Reads(Asks):
        async def ask(self, name) -> str:
            here, there = socket.socketpair()
            loop, answer = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
            loop.add_reader(here, lambda: answer.set_result(here.recv(9).decode()))
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", "import os; os.write(1, b'done')", stdout=there
            )
            try:
                return await answer
            finally:
                loop.remove_reader(here)
                here.close()
                there.close()
                await process.wait()

    record = await explorer.run(Reads(), Order())
    assert record.outcome.results["alice"].value == "done"


async def test_an_answer_by_datagram_is_waited_for(explorer):
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(_Datagrams, local_addr=("127.0.0.1", 0))
    address = server.get_extra_info("sockname")

    class Datagrams(Asks):
        async def ask(self, name) -> str:
            transport, protocol = await loop.create_datagram_endpoint(_Datagrams, remote_addr=address)
            with contextlib.closing(transport):
                protocol.answer = loop.create_future()
                transport.sendto(b"hello")
                return (await protocol.answer).decode()

    await _identical(explorer, Datagrams())
    server.close()


async def test_a_message_that_a_later_step_brings_about_comes(explorer, port):
    class Subscribes(Bank):
        @actor
        async def alice(self, session) -> bytes:
            return await pair[0].readline()

        @actor
        async def bob(self, session) -> None:
            await session.execute(add(1))
            await session.commit()
            pair[1].write(b"bob\n")

    pair = await asyncio.open_connection("127.0.0.1", port)
    record = await explorer.run(Subscribes(), Order())
    assert record.outcome.results["alice"].value == b"bob\n"
    pair[1].close()


async def test_two_locks_in_opposite_order_are_a_stall_at_once_although_a_socket_to_elsewhere_is_open(explorer, port):
    class TwoLocks(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, session, name) -> None:
            first, second = locks if name == "alice" else reversed(locks)
            async with first:
                await session.execute(add(1))
                async with second:
                    pass

    locks = asyncio.Lock(), asyncio.Lock()
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    before = time.monotonic()
    record = await explorer.run(TwoLocks(), Order())
    assert record.outcome.ending is Ending.STALLED
    assert time.monotonic() - before < 5, "a stall was waited out"
    writer.close()
