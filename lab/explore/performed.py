"""An execution that is over, while the database still holds what it left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lab.engine.plan import Finished
from lab.errors import ServerError
from lab.explore.asgi.served import Served
from lab.explore.in_between import InBetween
from lab.explore.invariants import Moment
from lab.explore.seen import Seen
from lab.explore.shared_names import shared_names
from lab.model.leak import Leak
from lab.model.outcome import Mask
from lab.model.remedy import Applied
from lab.postgres.database import Database
from lab.postgres.recording.results import is_connection_loss
from lab.postgres.tables.reset import Snapshot
from lab.scenario.declare import Scenario

__all__ = ["Performed", "insist_on_a_server"]

SHARED = (
    "when actors come to {} in the process: code runs on behind its statement, in the same step, unless `lab.point()` "
    "makes it one"
)


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
    between: InBetween | None = None
    """The looks at what was committed in between, where an invariant is to hold always."""
    leaks: tuple[Leak, ...] = ()
    """What actors left behind."""

    @property
    def moments(self) -> Mapping[str, Moment]:
        """When invariants did not hold in between, by their sentences."""
        return {} if self.between is None else self.between.moments

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be checked in between, as sentences."""
        return () if self.between is None else tuple(self.between.notes)

    @property
    def unsearched(self) -> tuple[str, ...]:
        """What clients of the application could have done in another order, and code of actors between statements."""
        served = () if self.served is None else self.served.unsearched
        names = shared_names(type(self.scenario))
        return (*served, *([SHARED.format(", ".join(names))] if names else ()))

    async def seen(self) -> Seen:
        """All its values, to be compared with those of an equal run."""
        database = self.database
        return Seen.of(self.finished, await database.rows(), database.tables.layout, self.mask, database.met())


async def insist_on_a_server(database: Database, errors: Iterable[BaseException]) -> None:
    """An actor that lost its connection is not a finding when the reason is that the server is gone: `ServerError`."""
    if any(is_connection_loss(error) for error in errors) and not await database.alive():
        raise ServerError(f"the server {database.cluster.server.description} died during an execution")
