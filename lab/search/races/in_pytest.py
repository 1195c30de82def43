"""`pytest --lab-races`: the run of a team's own tests is recorded, and what they sent is raced when it is over."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lab.postgres.server.server import Server
    from lab.search.races.accepted import Accepted
    from lab.search.races.findings import Raced
    from lab.search.races.pairs import Skipped
    from lab.search.races.recording import Recorder
    from lab.search.races.sent import Recording

__all__ = ["Races", "add_races", "add_races_options"]

OPTION, MARKER = "--lab-races", "races"
SECONDS = 120.0


def add_races_options(group: pytest.OptionGroup) -> None:
    """`--lab-races` and what belongs to it."""
    group.addoption(
        OPTION,
        metavar="PATTERN",
        nargs="?",
        const="",
        help="Run tests as they are, and race the requests that they sent: those whose id has PATTERN in it, without "
        "one those with @pytest.mark.races, where no test has it all.",
    )
    group.addoption(
        f"{OPTION}-seconds",
        type=float,
        metavar="S",
        default=SECONDS,
        help=f"How long races may take altogether, after the tests (default: {SECONDS:g}).",
    )
    group.addoption(
        f"{OPTION}-write",
        metavar="DIR",
        type=Path,
        help="Write each race that is found as a scenario into this folder: the regression test of its fix.",
    )
    group.addoption(f"{OPTION}-json", metavar="FILE", type=Path, help="Write the report for programs into this file.")


def add_races(config: pytest.Config, server: Callable[[], Server]) -> None:
    """Let the run race, if it is to. Raises `pytest.UsageError`."""
    config.addinivalue_line("markers", f"{MARKER}: requests of this test are raced by pytest {OPTION}")
    pattern = config.getoption(OPTION)
    if pattern is None:
        return
    if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        raise pytest.UsageError(f"{OPTION} races in one process: add -n 0")
    if config.getoption("--lab-url"):
        raise pytest.UsageError(f"{OPTION} needs the embedded server; leave --lab-url and LAB_URL out")
    from lab.errors import UsageError  # noqa: PLC0415 - only where races are asked for
    from lab.search.races.accepted import accepted_in  # noqa: PLC0415 - the same

    try:
        accepted = accepted_in(config.rootpath)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    races = Races(pattern, config.getoption(f"{OPTION}-seconds"), server, accepted)
    config.pluginmanager.register(races, "lab races")


@contextmanager
def _quiet(config: pytest.Config) -> Iterator[None]:
    """Keep what applications log and print to themselves: they are asked some thousand times."""
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    logging.disable()
    if capture is not None:
        capture.resume_global_capture()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        if capture is not None:
            capture.suspend_global_capture()
            capture.read_global_capture()


class Races:
    """A plugin that records each test that is chosen, and races afterwards."""

    def __init__(
        self, pattern: str, seconds: float, server: Callable[[], Server], accepted: Sequence[Accepted]
    ) -> None:
        self._pattern, self._seconds, self._make_server, self._accepted = pattern, seconds, server, accepted
        self._wrote: list[str] = []
        self._recorder: Recorder | None = None
        self._recordings: list[Recording] = []
        self._raced: list[Raced] = []
        self._skipped: list[Skipped] = []
        self._trouble = ""

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the chosen tests."""
        if self._pattern:
            chosen = [each for each in items if self._pattern in each.nodeid]
        else:
            chosen = [each for each in items if each.get_closest_marker(MARKER)] or list(items)
        config.hook.pytest_deselected(items=[each for each in items if each not in chosen])
        items[:] = chosen

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Record the run of all tests, and race."""
        from lab.errors import LabError  # noqa: PLC0415 - only where races are asked for
        from lab.search.races.recording import Recorder  # noqa: PLC0415 - the same

        if session.config.option.collectonly:
            return (yield)
        server = self._make_server()
        try:
            self._recorder = Recorder(server)
            try:
                with self._recorder.on():
                    result = yield
            finally:
                self._recorder.close()
            self._say(session.config, "")
            with _quiet(session.config):
                asyncio.run(self._race(session.config, server))
        except LabError as error:
            self._trouble = str(error)
        finally:
            server.close()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Record one test."""
        assert self._recorder is not None
        if "lab" in getattr(item, "fixturenames", ()):
            return (yield)
        with self._recorder.test(item.nodeid) as recording:
            self._recordings.append(recording)
            try:
                return (yield)
            except BaseException:
                recording.trouble = "it failed, so its requests are not raced"
                raise

    async def _race(self, config: pytest.Config, server: Server) -> None:
        from lab.explore import Explorer  # noqa: PLC0415 - the same
        from lab.search.races.accepted import marked  # noqa: PLC0415 - the same
        from lab.search.races.pairs import ranked  # noqa: PLC0415 - the same
        from lab.search.races.trials import raced  # noqa: PLC0415 - the same
        from lab.search.races.written import write_races  # noqa: PLC0415 - the same

        usable = [each for each in self._recordings if not each.trouble]
        pairs, self._skipped = ranked(usable)
        began = time.monotonic()
        async with aclosing(Explorer(server, later=1)) as explorer:
            async for each in raced(explorer, pairs, self._seconds):
                self._raced.append(each)
                done, racy = len(self._raced), sum(one.failure is not None for one in self._raced)
                self._say(config, f"races: {done} of {len(pairs)} pairs, {racy} racy, {time.monotonic() - began:.0f} s")
        self._say(config, "")
        self._raced = marked(self._raced, self._accepted)
        if (folder := config.getoption(f"{OPTION}-write")) is not None:
            self._wrote = write_races(folder, self._raced)

    def _say(self, config: pytest.Config, text: str) -> None:
        """How far the races are, on one line of a terminal."""
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and reporter.isatty:
            reporter.rewrite(text, erase=True)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A race that nobody accepted fails the run, and so does a run that raced nothing."""
        if (file := session.config.getoption(f"{OPTION}-json")) is not None:
            from lab.search.races.table import races_data  # noqa: PLC0415 - the same

            data = races_data(self._raced, self._skipped, self._recordings)
            file.write_text(json.dumps({"version": 1, **data}, indent=2) + "\n")
        bad = any(each.failure is not None and not each.accepted for each in self._raced)
        if session.exitstatus == pytest.ExitCode.OK and (bad or self._trouble or self._nothing):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @property
    def _nothing(self) -> str:
        """Why nothing is known; "" where something is."""
        from lab.search.races.findings import Standing  # noqa: PLC0415 - the same

        known = any(each.standing not in (Standing.NOT_TRIED, Standing.UNKNOWN) for each in self._raced)
        if known or self._trouble:
            return ""
        if not any(each.sent for each in self._recordings):
            return (
                "no test sent a request through httpx's ASGITransport or Starlette's TestClient, so nothing was raced"
            )
        return "no pair of requests could be raced, so nothing is known" if self._raced else ""

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The report."""
        from lab.search.races.table import races_lines  # noqa: PLC0415 - the same

        terminalreporter.section("lab races")
        verbose = terminalreporter.config.get_verbosity() > 0
        with suppress(BrokenPipeError):
            for line in races_lines(self._raced, self._skipped, self._recordings, verbose=verbose):
                terminalreporter.write_line(line)
            for each in filter(None, (*self._wrote, self._trouble, self._nothing)):
                terminalreporter.write_line(each)
