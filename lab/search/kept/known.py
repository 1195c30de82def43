"""The violations that are known: what failed once, by hunts and in tests, until a replay says that it does no more.

One violation of one scenario, with its parameters and at one isolation level, has one row, whatever found it and how
often: the newest token of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.sqlite import insert

from lab.model.replay_token import decode
from lab.model.shown import shown
from lab.search.kept.file import KeptFile, moment
from lab.search.kept.tables import KNOWN

__all__ = ["CHANGED", "FAILS", "FIXED", "Known", "KnownFailure"]

FAILS, FIXED, CHANGED = "fails", "fixed", "changed"
MOST = 20
"""So many of a scenario are replayed at most, the newest ones: as many as a hunt reports."""
_KEYS = ("test", "target", "parameters", "isolation", "checker", "broken")


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """A row of the table; see there."""

    id: int
    test: str
    target: str
    isolation: str
    checker: str
    broken: str
    token: str
    checks: Sequence[str]
    source: str
    hunt: str
    """That found it first."""
    state: str
    found: str
    judged: str
    versions: Mapping[str, str]

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same violation."""
        return self.checker, self.broken


class Known:
    """What is known, in one file. Raises `NotKept` where the file fails."""

    def __init__(self, file: KeptFile) -> None:
        self._file = file

    def remember(
        self,
        token: str,
        checker: str,
        broken: str,
        *,
        source: str,
        versions: Mapping[str, str],
        test: str = "",
        hunt: str = "",
        checks: Sequence[str] = (),
        durable: bool = False,
    ) -> None:
        """A violation was met."""
        named = decode(token)
        keys = {
            "test": test,
            "target": named.target,
            "parameters": json.dumps(named.parameters, sort_keys=True),
            "isolation": named.isolation,
            "checker": checker,
            "broken": shown(broken),
        }
        values: dict[str, Any] = {
            "token": token,
            "checks": list(checks),
            "source": source,
            "state": FAILS,
            "judged": moment(),
            "versions": dict(versions),
        }
        with self._file.writing(durable=durable) as connection:
            statement = insert(KNOWN).values(**keys, **values, hunt=hunt, found=values["judged"])
            connection.execute(statement.on_conflict_do_update(index_elements=list(_KEYS), set_=values))

    def withdraw(self, token: str) -> None:
        """A token that cannot be relied on is no known one."""
        with self._file.writing() as connection:
            connection.execute(delete(KNOWN).where(KNOWN.c.token == token))

    def of(self, target: str) -> list[KnownFailure]:
        """Those of a scenario that failed when they were judged last, the newest first."""
        return self._listed(KNOWN.c.target == target, KNOWN.c.state == FAILS)[:MOST]

    def of_tests(self) -> list[KnownFailure]:
        """Those that tests found and that failed when they were judged last."""
        return self._listed(KNOWN.c.test != "", KNOWN.c.state == FAILS)

    def all(self) -> list[KnownFailure]:
        """All, whatever became of them."""
        return self._listed()

    def judge(self, known: KnownFailure, state: str, versions: Mapping[str, str]) -> None:
        """A replay said what has become of it. Where it was met anew meanwhile, that stands."""
        values = {"state": state, "judged": moment(), "versions": dict(versions)}
        same = (KNOWN.c.id == known.id, KNOWN.c.token == known.token, KNOWN.c.judged == known.judged)
        with self._file.writing() as connection:
            connection.execute(update(KNOWN).where(*same).values(**values))

    def _listed(self, *where: Any) -> list[KnownFailure]:
        columns = [KNOWN.c[each] for each in KnownFailure.__slots__]
        with self._file.reading() as connection:
            query = select(*columns).where(*where).order_by(KNOWN.c.judged.desc(), KNOWN.c.id)
            return [KnownFailure(**row) for row in connection.execute(query).mappings()]
