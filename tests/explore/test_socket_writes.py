"""How often the lab's process writes to a socket in one execution: each is a question to the server, and a wait."""

from __future__ import annotations

from asyncio import selector_events
from typing import Any

import pytest
from helpers.kit import Order

from lab.postgres.locks import waits
from scenarios.transfer import LostUpdate

MOST = 14
"""Four of each actor (two queries, a flush, a COMMIT) and of the invariants, the restored tables, the final rows."""
WARM = 3
BEFORE = "alice alice bob bob alice bob alice bob bob"
"""Both read before either writes; bob's flush waits for alice's COMMIT."""


@pytest.mark.parametrize("order", [BEFORE, "alice alice bob bob alice alice bob bob"], ids=["waits", "does not wait"])
async def test_a_lost_update_writes_to_sockets_as_often_as_its_statements_need(explorer, monkeypatch, order):
    """BEGIN goes out with what comes next, nothing is prepared twice, and what is known is not asked."""
    written: list[bytes] = []
    transport: Any = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]
    write = transport.write

    def counted(self: Any, data: Any) -> None:
        written.append(bytes(data))
        write(self, data)

    monkeypatch.setattr(transport, "write", counted)
    monkeypatch.setattr(waits, "PUSHED_POLL_SECONDS", 60.0)  # a loaded machine is no reason for a question here
    for _ in range(WARM):
        written.clear()
        record = await explorer.run(LostUpdate(), Order(order))
    assert record.failed
    assert len(written) <= MOST, b"\n".join(each[:80] for each in written)
