"""An execution that is over, while the database still holds what it left."""

from __future__ import annotations

from dataclasses import dataclass

from lab.engine.plan import Finished
from lab.explore.asgi.served import Served
from lab.explore.seen import Seen
from lab.model.outcome import Mask
from lab.model.remedy import Applied
from lab.postgres.database import Database
from lab.postgres.tables.reset import Snapshot
from lab.scenario.declare import Scenario

__all__ = ["Performed"]


@dataclass(frozen=True, slots=True)
class Performed:
    """An execution that nobody has judged yet, where it was run, and with what it began there."""

    scenario: Scenario
    finished: Finished
    database: Database
    snapshot: Snapshot
    mask: Mask
    applied: Applied | None
    served: Served | None = None
    """The application that was asked, still up for the invariants."""

    @property
    def unsearched(self) -> tuple[str, ...]:
        """What clients of the application could have done in another order."""
        return () if self.served is None else tuple(self.served.unsearched)

    async def seen(self) -> Seen:
        """All its values, to be compared with those of an equal run."""
        database = self.database
        return Seen.of(self.finished, await database.rows(), database.tables.layout, self.mask, database.met())
