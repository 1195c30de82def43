"""The pytest plugin: the `lab` fixture and its options. A thin shell; it loads the lab only when a test asks for it.

The fixture is synchronous and lives as long as the run, so it goes with event loops of every scope; what belongs to a
loop is made in it and ends with it (`lab.search.direct.loops`). Who runs a test is settled in
`lab.search.direct.runners`.

There is one server for the whole run. Under pytest-xdist the workers share it, each with databases of its own; the
controller hands them a folder in which the first worker that needs the server leaves its address.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import shlex
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab.search.direct.at_the_end import AtTheEnd, note, violation_in
from lab.search.direct.failing_pages import add_page, add_page_options, pages_wanted
from lab.search.direct.pins import pinned_on
from lab.search.direct.runners import BACKEND, Keeper, inner_test, is_claimed
from lab.search.races.in_pytest import add_races, add_races_options

if TYPE_CHECKING:
    from lab.postgres.server.server import Server
    from lab.search.direct.known_runs import KnownOfTests
    from lab.testing import Lab

__all__ = ["lab", "lab_server"]

_RENDEZVOUS = pytest.StashKey[tuple[Path, int]]()
"""The folder of the run, and the descriptor by which it is known to be in use."""
_LAB = pytest.StashKey["Lab"]()
"""The fixture's value, once a test has asked for it."""
_AGAIN = pytest.StashKey[str]()
"""The command that replays a token in the running test."""
_KNOWN = pytest.StashKey["KnownOfTests | None"]()
"""What tests found, where that is kept."""
_KEEPER = pytest.StashKey[Keeper]()
_AT_THE_END = pytest.StashKey[contextlib.ExitStack]()
"""Closed when all fixtures are gone: an event loop of a plugin's may be the last of them, and connections with it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options."""
    group = parser.getgroup("lab", "concurrency lab")
    group.addoption(
        "--lab-url",
        default=os.environ.get("LAB_URL") or None,
        help="External PostgreSQL for the lab, which works in databases of its own there (default: LAB_URL, else an "
        "embedded server).",
    )
    group.addoption(
        "--lab-replay",
        metavar="TOKEN",
        default=os.environ.get("LAB_REPLAY") or None,
        help="Replay this token in the tests that check, hunt or race its scenario (default: LAB_REPLAY).",
    )
    group.addoption("--lab-isolation", metavar="LEVEL", help="Run every scenario at this isolation level.")
    add_page_options(parser, group)
    add_races_options(group)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a wrong option before any test runs."""
    from lab.errors import LabError  # noqa: PLC0415
    from lab.model.secret import without_urls  # noqa: PLC0415

    try:
        _, replay = _options(config)
    except LabError as error:
        raise pytest.UsageError(without_urls(str(error))) from None
    asked = replay.target if replay is not None and not hasattr(config, "workerinput") else ""
    config.stash[_KEEPER] = Keeper()
    config.stash[_AT_THE_END] = contextlib.ExitStack()
    config.pluginmanager.register(AtTheEnd(asked), "lab at the end")
    add_races(config, lambda: _server(config))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """On xdist's controller: one folder for all workers."""
    from lab.postgres.server.folders import RUN, owned_folder, remove_abandoned  # noqa: PLC0415

    stash = node.config.stash
    if _RENDEZVOUS not in stash:
        base = tempfile.gettempdir()
        remove_abandoned([base])  # of a run that was killed
        stash[_RENDEZVOUS] = owned_folder(base, RUN)
    node.workerinput["lab_rendezvous"] = str(stash[_RENDEZVOUS][0])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the server, and remove the folder of the run."""
    if (stack := config.stash.get(_AT_THE_END, None)) is not None:
        stack.close()
    if found := config.stash.get(_RENDEZVOUS, None):
        folder, held = found
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take the deadline of 200 ms off, and let anyio run what asks for `lab` by another fixture only.

    An execution on a server has no use for Hypothesis's default deadline; one that was chosen stays.
    """
    for item in items:
        test, names = getattr(item, "obj", None), getattr(item, "fixturenames", ())
        if "lab" in names and hasattr(test, "hypothesis"):
            from lab.search.direct.examples import without_default_deadline  # noqa: PLC0415

            without_default_deadline(test)
        if "lab" in names and BACKEND not in names and inspect.iscoroutinefunction(test) and not is_claimed(item, test):
            item.add_marker("anyio")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> None:
    """A test that nobody would run is run by anyio."""
    inner = inner_test(obj)
    asks = inspect.iscoroutinefunction(inner) and "lab" in inspect.signature(inner).parameters
    if asks and not is_claimed(collector, obj):
        pytest.mark.usefixtures(BACKEND)(obj)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A synchronous test cannot await a check: it would pass without having checked anything."""
    inner = inner_test(getattr(item, "obj", None))
    asks = False
    if inspect.isfunction(inner) or inspect.ismethod(inner):
        asks = "lab" in inspect.signature(inner).parameters
        if asks and not inspect.iscoroutinefunction(inner):
            pytest.fail(f"{item.name} asks for `lab` and must be `async def`, to await what it checks", pytrace=False)
    if pinned_on(getattr(item, "obj", None)) and "lab" not in getattr(item, "fixturenames", ()):
        pytest.fail(f"{item.name} has @replays, but asks for no `lab` that could replay", pytrace=False)
    again = item.config.stash[_AGAIN] = _again(item)
    if (found := item.config.stash.get(_LAB, None)) is not None:
        found.begin(again)


def _again(item: pytest.Item) -> str:
    """The command that replays TOKEN in this test alone, from the folder in which pytest was started."""
    path = Path(os.path.relpath(item.path, item.config.invocation_params.dir))
    _, colons, test = item.nodeid.partition("::")
    return f"pytest {shlex.quote(f'{path}{colons}{test}')} --lab-replay=TOKEN"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Keep the event loop, and run a test for its pinned tokens before its own run."""
    found = pyfuncitem.config.stash.get(_LAB, None) if "lab" in pyfuncitem.fixturenames else None
    if found is not None and found.pinned is None:
        pyfuncitem.config.stash[_KEEPER].keep(pyfuncitem)
        if tokens := pinned_on(pyfuncitem.obj):
            from lab.search.direct.pinned_runs import run_pinned  # noqa: PLC0415

            run_pinned(pyfuncitem, found, tokens)
        if found.replay is None and (known := _known(pyfuncitem.config)) is not None:
            known.run(pyfuncitem, found)
    with _in_one_sentence("ServerError"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Know of anyio's fixture, with which the event loop ends."""
    if fixturedef.argname == BACKEND:
        request.config.stash[_KEEPER].set_up(fixturedef)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give a test's report what the lab did in it, as plain values."""
    found = note(item, call.excinfo.value) if call.excinfo is not None else {}
    report = yield
    used = item.config.stash.get(_LAB, None)
    if call.when == "call" and used is not None and "lab" in getattr(item, "fixturenames", ()):
        vars(report)["lab_scenarios"] = used.ledger.scenarios
        if used.replay is None and (known := _known(item.config)) is not None:
            if call.excinfo is not None and report.failed and (violation := violation_in(call.excinfo.value)):
                known.remember(item, violation)
            vars(report)["lab_known"], known.said = known.said, []
    if report.failed and call.excinfo is not None:
        add_page(item, call.excinfo.value, report)
    if found and report.failed:
        vars(report)["lab_annotation"] = found
    return report


def _known(config: pytest.Config) -> KnownOfTests | None:
    if _KNOWN not in config.stash:
        from lab.search.kept.folder import file_of, keeps_of_tests  # noqa: PLC0415

        config.stash[_KNOWN] = None
        if keeps_of_tests(config.rootpath):
            from lab.search.direct.known_runs import KnownOfTests  # noqa: PLC0415

            config.stash[_KNOWN] = KnownOfTests(file_of(config.rootpath))
    return config.stash[_KNOWN]


@pytest.fixture(scope="session")
def lab_server(request: pytest.FixtureRequest) -> Server:
    """The server of this run."""
    from concurrency_lab import clash  # noqa: PLC0415

    if sentence := clash():
        raise pytest.fail.Exception(f"lab: {sentence}", pytrace=False)
    with _in_one_sentence():
        server = _server(request.config)
    return request.config.stash[_AT_THE_END].enter_context(server)


def _server(config: pytest.Config) -> Server:
    """One by URL, or an embedded one. The workers of xdist share it, unless its clock can be moved."""
    from lab.postgres.server.clock import installed_library  # noqa: PLC0415
    from lab.postgres.server.embedded import embedded_server, shared_server  # noqa: PLC0415
    from lab.postgres.server.server import external_server  # noqa: PLC0415
    from lab.postgres.server.versions import DEFAULT_VERSION  # noqa: PLC0415
    from lab.scenario.pyproject import settings  # noqa: PLC0415

    if (url := _url(config)) is not None:
        return external_server(url)
    version = settings(config.rootpath).postgres or DEFAULT_VERSION
    rendezvous = getattr(config, "workerinput", {}).get("lab_rendezvous")
    if rendezvous and installed_library() is None:
        return shared_server(Path(rendezvous), version)
    return embedded_server(version)


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, lab_server: Server) -> Lab:
    """Checks scenarios: `await lab.check(scenario, schedule)`."""
    from lab.search.direct.loops import Explorers  # noqa: PLC0415
    from lab.testing import Lab  # noqa: PLC0415

    isolation, replay = _options(request.config)
    made = request.config.stash[_LAB] = Lab(
        Explorers(lab_server), isolation=isolation, replay=replay, pages=pages_wanted(request.config)
    )
    made.begin(request.config.stash.get(_AGAIN, ""))
    return made


@contextlib.contextmanager
def _in_one_sentence(kind: str = "LabError") -> Iterator[None]:
    """What the lab says of a wrong use or a failing server, without the code that found it."""
    from lab import errors  # noqa: PLC0415

    try:
        yield
    except getattr(errors, kind) as error:
        raise pytest.fail.Exception(f"lab: {error}", pytrace=False) from None


def _url(config: pytest.Config) -> str | None:
    """The URL that was given, else that of `[tool.lab]`. An empty one is a wrong use; an empty LAB_URL is none."""
    from lab.scenario.pyproject import settings  # noqa: PLC0415

    url: str | None = config.getoption("--lab-url")
    return settings(config.rootpath).url if url is None else url


def _options(config: pytest.Config) -> tuple[str | None, Any]:
    """The isolation level and the decoded token. Raises `UsageError`, also for what `[tool.lab]` says."""
    from lab.errors import UsageError  # noqa: PLC0415
    from lab.postgres.server.versions import VERSIONS  # noqa: PLC0415
    from lab.scenario.pyproject import settings  # noqa: PLC0415

    stated = settings(config.rootpath)
    if stated.postgres is not None and stated.postgres not in VERSIONS:
        known = ", ".join(map(str, VERSIONS))
        raise UsageError(f"{stated.file}: [tool.lab] has postgres = {stated.postgres}; there are {known}")
    isolation, text = config.getoption("--lab-isolation"), config.getoption("--lab-replay")
    if (url := _url(config)) is not None:
        from lab.postgres.server.server import external_server  # noqa: PLC0415

        external_server(url)
    if isolation is None and text is None:
        return None, None
    from lab.model.replay_token import decode  # noqa: PLC0415
    from lab.scenario.declare import ISOLATION_LEVELS  # noqa: PLC0415

    if isolation is not None and isolation.upper() not in ISOLATION_LEVELS:
        raise UsageError(f"--lab-isolation={isolation}: known levels are {', '.join(ISOLATION_LEVELS)}")
    return isolation and isolation.upper(), decode(text) if text else None
