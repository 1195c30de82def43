"""What a hunt does before it imports what it hunts: it finds out which module that is, and starts a second process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.search.standby import Standby

__all__ = ["early_standby", "whole"]


def whole(target: str) -> str:
    """A short name as `module:Class`, where a kept list says so: then the other modules need not be imported."""
    from lab.postgres.server.cache_place import cache_folder
    from lab.scenario.listed.kept import Listing

    if ":" in target:
        return target
    known = [each["target"] for each in Listing(cache_folder).known() or ()]
    meant = [each for each in known if each.partition(":")[2] == target]
    return meant[0] if len(meant) == 1 else target


@contextlib.asynccontextmanager
async def early_standby(*, fresh: bool, workers: object) -> AsyncIterator[Standby | None]:
    """A process for the fresh replay, which imports while this one does; None where it would be in the way."""
    from lab.search.standby import Standby, core_to_spare

    if not fresh or workers not in (None, 1) or not core_to_spare():
        yield None
        return
    async with aclosing(Standby()) as standby:
        yield standby
