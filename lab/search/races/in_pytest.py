"""`pytest --lab-races`: the run of a team's own tests is recorded, and what they sent is raced when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.model.verdict import Verdict
from lab.search.races import SECONDS

if TYPE_CHECKING:
    from lab.postgres.server.server import Server
    from lab.search.races.accepted import Accepted
    from lab.search.races.racing import Racing
    from lab.search.races.recording import Recorder

__all__ = ["Races", "add_races", "add_races_options"]

OPTION, MARKER = "--lab-races", "races"


def add_races_options(group: pytest.OptionGroup) -> None:
    """`--lab-races` and what belongs to it."""
    group.addoption(
        OPTION,
        metavar="PATTERN",
        nargs="?",
        const="",
        help="Run tests as they are, and race the requests that they sent, and their calls of lab.actions: those whose "
        "id has PATTERN in it, without one those with @pytest.mark.races, where no test has it all.",
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
    group.addoption(
        f"{OPTION}-html",
        metavar="FILE",
        type=Path,
        help="Write the report as a page into this file, with the story of each race drawn. FILE needs nothing beside "
        "itself.",
    )
    group.addoption(f"{OPTION}-json", metavar="FILE", type=Path, help="Write the report for programs into this file.")


def add_races(config: pytest.Config, server: Callable[[], Server]) -> None:
    """Let the run race, if it is to. Raises `pytest.UsageError`."""
    config.addinivalue_line("markers", f"{MARKER}: requests and calls of this test are raced by pytest {OPTION}")
    pattern = config.getoption(OPTION)
    if pattern is None:
        return
    if getattr(config.option, "numprocesses", None) or hasattr(config, "workerinput"):
        raise pytest.UsageError(f"{OPTION} races in one process: add -n 0")
    if config.getoption("--lab-url"):
        raise pytest.UsageError(f"{OPTION} needs the embedded server; leave --lab-url and LAB_URL out")
    page: Path | None = config.getoption(f"{OPTION}-html")
    if page is not None and not page.absolute().parent.is_dir():
        raise pytest.UsageError(f"{OPTION}-html {page}: there is no folder {page.absolute().parent}")
    from lab.engine.replaced import replaced  # noqa: PLC0415 - only where races are asked for
    from lab.errors import UsageError  # noqa: PLC0415 - the same
    from lab.search.races.accepted import accepted_in  # noqa: PLC0415 - the same
    from lab.search.races.actions import Actions  # noqa: PLC0415 - the same

    try:
        accepted = accepted_in(config.rootpath)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None
    races = Races(pattern, config.getoption(f"{OPTION}-seconds"), server, accepted)
    config.pluginmanager.register(races, "lab races")
    wanted = replaced(Actions, "wanted", True)  # noqa: FBT003 - before tests are loaded
    wanted.__enter__()
    config.add_cleanup(lambda: wanted.__exit__(None, None, None))


@contextmanager
def _quiet(config: pytest.Config) -> Iterator[None]:
    """Keep what applications print to themselves: they are asked some thousand times."""
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    if capture is not None:
        capture.resume_global_capture()
    try:
        yield
    finally:
        if capture is not None:
            capture.suspend_global_capture()
            capture.read_global_capture()


class Races:
    """A plugin that records each test that is chosen, and races afterwards."""

    def __init__(
        self, pattern: str, seconds: float, server: Callable[[], Server], accepted: Sequence[Accepted]
    ) -> None:
        self._pattern, self._seconds, self._make_server, self._accepted = pattern, seconds, server, accepted
        self._recorder: Recorder | None = None
        self._racing: Racing | None = None

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
        from lab.search.races.racing import Racing  # noqa: PLC0415 - the same
        from lab.search.races.recording import Recorder  # noqa: PLC0415 - the same

        if session.config.option.collectonly:
            return (yield)
        self._racing = Racing(f"pytest {OPTION} {OPTION}-write=DIR")
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
            self._racing.trouble = str(error)
        finally:
            server.close()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Record one test."""
        from lab.search.races.sent import Recording  # noqa: PLC0415 - the same

        assert self._recorder is not None
        assert self._racing is not None
        if "lab" in getattr(item, "fixturenames", ()):
            self._racing.recordings.append(Recording(item.nodeid, trouble="it races by itself, with the fixture `lab`"))
            return (yield)
        with self._recorder.test(item.nodeid) as recording:
            self._racing.recordings.append(recording)
            try:
                return (yield)
            except pytest.skip.Exception:
                recording.trouble = "it was skipped"
                raise
            except BaseException:
                recording.trouble = "it failed, so nothing of it is raced"
                raise

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that did not come to its call."""
        from lab.search.races.sent import Recording  # noqa: PLC0415 - the same

        assert self._racing is not None
        if report.when == "setup" and not report.passed:
            why = "it was skipped" if report.skipped else "its fixtures failed"
            self._racing.recordings.append(Recording(report.nodeid, trouble=why))

    async def _race(self, config: pytest.Config, server: Server) -> None:
        assert self._racing is not None

        def progress(done: int, pairs: int, text: str) -> None:
            self._say(config, f"races: {done} of {pairs} pairs, {text}")

        await self._racing.race(server, self._seconds, self._accepted, progress)
        self._say(config, "")
        if (folder := config.getoption(f"{OPTION}-write")) is not None:
            self._racing.write(folder)

    def _say(self, config: pytest.Config, text: str) -> None:
        """How far the races are, on one line of a terminal."""
        reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and reporter.isatty:
            reporter.rewrite(text, erase=True)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A race that nobody accepted fails the run, and so does a run that raced nothing."""
        if self._racing is None:
            return
        if (file := session.config.getoption(f"{OPTION}-json")) is not None:
            self._racing.write_data(file)
        if (page := session.config.getoption(f"{OPTION}-html")) is not None:
            self._draw(page)
        bad = self._racing.verdict != Verdict.PASS
        if session.exitstatus == pytest.ExitCode.OK and (bad or self._nothing):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _draw(self, page: Path) -> None:
        from lab.errors import UsageError  # noqa: PLC0415 - only where races are asked for

        assert self._racing is not None
        try:
            self._racing.write_page(page, said=[*filter(None, (self._nothing,))])
        except UsageError as error:
            self._racing.trouble = self._racing.trouble or str(error)

    @property
    def _nothing(self) -> str:
        """Why nothing is known; "" where something is."""
        if self._racing is None or self._racing.trouble:
            return ""
        if not any(each.sent for each in self._racing.recordings):
            return (
                "no test sent a request through httpx's ASGITransport or Starlette's TestClient, or called one of "
                "lab.actions, so nothing was raced"
            )
        return self._racing.nothing

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The report."""
        if self._racing is None:
            return
        terminalreporter.section("lab races")
        verbose = terminalreporter.config.get_verbosity() > 0
        with suppress(BrokenPipeError):
            for line in self._racing.lines(verbose=verbose):
                terminalreporter.write_line(line)
            for each in filter(None, (*self._racing.wrote, self._racing.trouble, self._nothing)):
                terminalreporter.write_line(each)
