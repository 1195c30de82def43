"""What pytest is told of tests that used the lab: properties of their reports, a summary, and GitHub's annotations.

Reports cross from xdist's workers to its controller, so all that is needed at the end travels in them as plain values.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lab.errors import Violation

__all__ = ["AtTheEnd", "note", "violation_in"]

PROPERTIES = {"token": "lab_token", "anomaly": "lab_anomaly", "title": "lab_finding"}
"""Attribute of a violation -> the name of the property, in JUnit's XML for example. Beside them: the verdict."""
FOLDER = "GITHUB_WORKSPACE"


def note(item: pytest.Item, error: BaseException) -> dict[str, Any]:
    """Add the properties of a violation to a test that failed by it; returns what its annotation needs."""
    violation = violation_in(error)
    if violation is None or not violation.token:
        return {}
    properties = [(name, getattr(violation, each)) for each, name in PROPERTIES.items()]
    item.user_properties += [("lab_verdict", "fail"), *properties]
    file, _, line = violation.location.rpartition(":")
    if not file:
        file, line = str(item.path), str((item.location[1] or 0) + 1)
    lines = str(violation).splitlines()
    message = "\n".join([*lines[:1], *(each for each in lines if each.startswith("Replay "))])
    return {"file": file, "line": int(line), "title": violation.title, "message": message}


def violation_in(error: BaseException) -> Violation | None:
    """The violation with which a test failed, if it did; the first one of a group."""
    from lab.errors import Violation  # noqa: PLC0415 - only where a test failed

    if isinstance(error, Violation):
        return error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next(filter(None, map(violation_in, inner)), None)


class AtTheEnd:
    """A plugin that gathers what reports carry, where reports arrive."""

    def __init__(self, asked: str = "") -> None:
        """`asked`: the scenario of the token that the run is to replay, "" without one."""
        self._asked = asked
        self._tests: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._known: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A report, of this process or of a worker."""
        if done := getattr(report, "lab_scenarios", None):
            self._tests.append(done)
        self._known += [each for each in getattr(report, "lab_known", ()) if each not in self._known]
        if found := getattr(report, "lab_annotation", None):
            self._annotations.append(found)

    @property
    def _unmet(self) -> bool:
        return bool(self._asked) and not any(test.get(self._asked, {}).get("replayed") for test in self._tests)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A run that was to replay something and did not is no pass."""
        if self._unmet and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The section of the lab, and GitHub's lines."""
        if self._tests or self._unmet:
            terminalreporter.section("lab")
            for line in [*self._lines(), *self._known]:
                terminalreporter.write_line(line)
            if self._unmet:
                terminalreporter.write_line(
                    f"nothing was replayed: the token is of {self._asked}, and no test of this run checks, hunts or "
                    "races that"
                )
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in self._annotated():
                terminalreporter.write_line(line)

    def _lines(self) -> Iterator[str]:
        from lab.report.run_summary import merged, run_lines  # noqa: PLC0415 - only where there is something

        yield from run_lines(merged(self._tests))

    def _annotated(self) -> Iterator[str]:
        from lab.report.run_summary import annotation  # noqa: PLC0415 - the same

        root = Path(os.environ.get(FOLDER) or Path.cwd())
        for each in self._annotations:
            path = Path(each["file"])
            file = path.relative_to(root) if path.is_relative_to(root) else path
            yield annotation(str(file), each["line"], each["title"], each["message"])
