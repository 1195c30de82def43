"""What tests found is replayed first when they run again, as Hypothesis does with its examples, beside whose it stands.

A test that failed with a violation is known by its id. At its next run the token is replayed before all else: where it
still fails, that is the report, and nothing else is run. Where it passes it is marked as fixed, and where it cannot be
replayed as changed; then the test goes on as always.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.errors import Divergence, LabError, TokenError, Violation
from lab.model.replay_token import decode
from lab.search.direct.at_the_end import violation_in
from lab.search.direct.examples import one_example

if TYPE_CHECKING:
    from lab.search.direct.lab import Lab
    from lab.search.kept.file import KeptFile
    from lab.search.kept.known import Known, KnownFailure

__all__ = ["KnownOfTests"]

FIXED, CHANGED = "fixed", "changed"
WORDS = {FIXED: "no longer fails: marked as fixed", CHANGED: "cannot be replayed: marked as changed"}


class KnownOfTests:
    """Those of one run of pytest, in one of its processes. A file that fails is said once, and is used no more."""

    def __init__(self, file: Path) -> None:
        self._path = file
        self._known: Known | None = None
        self._by_test: dict[str, list[KnownFailure]] | None = None
        self.said: list[str] = []
        """What is to be said at the end of the run of the test that runs."""
        self._fails = False

    def run(self, item: pytest.Function, lab: Lab) -> None:
        """Replay what is known of a test. Raises what the test raises then."""
        for known in self._of(item.nodeid):
            found = f"known since {known.found[:10]}"
            try:
                state = self._state(item, lab, known)
            except (Violation, BaseExceptionGroup) as error:
                error.add_note(f"This was a replay of a violation that is {found} ({self._path.parent.name}/).")
                raise
            if state:
                self._judge(known, state)
                self.said.append(f"{item.nodeid}: {known.broken!r}, {found}, {WORDS[state]}")

    @staticmethod
    def _state(item: pytest.Function, lab: Lab, known: KnownFailure) -> str:
        """What is to be noted after a replay, "" for nothing. Raises the violation where it fails still."""
        lab.pinned = decode(known.token)
        lab.met.clear()
        try:
            with one_example(item.obj):
                item.ihook.pytest_pyfunc_call(pyfuncitem=item)
        except (Divergence, TokenError):
            return CHANGED
        except (Exception, pytest.fail.Exception, pytest.skip.Exception) as error:
            # A test may ask for more, such as a number of executions: its own run, which follows, says whether.
            if violation_in(error) is not None:
                raise
            return FIXED if lab.pinned.target in lab.met else ""
        else:
            return FIXED if lab.pinned.target in lab.met else CHANGED
        finally:
            lab.pinned = None
            lab.met.clear()

    def remember(self, item: pytest.Item, violation: Violation) -> None:
        """A test failed."""
        if self._fails:
            return
        from lab.search.kept.known import Known  # noqa: PLC0415 - only where a test fails
        from lab.search.kept.versions import source_of, versions  # noqa: PLC0415 - the same

        try:
            self._known = self._known or Known(self._opened())
            self._known.remember(
                violation.token,
                "",
                violation.broken,
                source=source_of(decode(violation.token).target),
                versions=versions(),
                test=item.nodeid,
                durable=True,
            )
        except LabError as error:
            self._failed(error)

    def _of(self, test: str) -> list[KnownFailure]:
        if self._by_test is None:
            self._by_test = {}
            if not self._path.exists():
                return []
            from lab.search.kept.known import Known  # noqa: PLC0415 - only where there is a file

            try:
                self._known = Known(self._opened())
                for each in self._known.of_tests():
                    self._by_test.setdefault(each.test, []).append(each)
            except LabError as error:
                self._failed(error)
        return self._by_test.get(test, [])

    def _judge(self, known: KnownFailure, state: str) -> None:
        from lab.search.kept.versions import versions  # noqa: PLC0415 - the same

        try:
            assert self._known is not None
            self._known.judge(known, state, versions())
        except LabError as error:
            self._failed(error)

    def _opened(self) -> KeptFile:
        from lab.search.kept.file import KeptFile  # noqa: PLC0415 - only where there is something to keep

        file, said = KeptFile.open(self._path)
        self.said += [said] if said else []
        return file

    def _failed(self, error: LabError) -> None:
        self._fails = True
        self.said.append(f"what tests find is not kept: {error}")
