"""The pytest plugin: the `lab` fixture and its options. A thin shell; it loads the lab only when a test asks for it.

There is one server for the whole run. Under pytest-xdist the workers share it, each with databases of its own; the
controller hands them a folder in which the first worker that needs the server leaves its address.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lab.postgres.server.server import Server
    from lab.testing import Lab

__all__ = ["lab", "lab_backend", "lab_server"]

_RENDEZVOUS = pytest.StashKey[tuple[Path, int]]()
"""The folder of the run, and the descriptor by which it is known to be in use."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options."""
    group = parser.getgroup("lab", "concurrency lab")
    group.addoption(
        "--lab-url",
        default=os.environ.get("LAB_URL") or None,
        help="External PostgreSQL for the lab, which works in databases of its own there (default: LAB_URL, else an "
        "embedded server).",
    )
    group.addoption("--lab-replay", metavar="TOKEN", help="Replay this token in the tests that check its scenario.")
    group.addoption("--lab-isolation", metavar="LEVEL", help="Run every scenario at this isolation level.")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a wrong option before any test runs."""
    from lab.errors import LabError  # noqa: PLC0415
    from lab.model.secret import without_urls  # noqa: PLC0415

    try:
        _options(config)
    except LabError as error:
        raise pytest.UsageError(without_urls(str(error))) from None


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
    """Remove the folder of the run."""
    if found := config.stash.get(_RENDEZVOUS, None):
        folder, held = found
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """An execution on a server has no use for Hypothesis's default deadline of 200 ms; one that was chosen stays."""
    for item in items:
        test = getattr(item, "obj", None)
        if "lab" in getattr(item, "fixturenames", ()) and hasattr(test, "hypothesis"):
            _without_default_deadline(test)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A synchronous test cannot await a check: it would pass without having checked anything."""
    test = getattr(item, "obj", None)
    inner = getattr(getattr(test, "hypothesis", None), "inner_test", test)
    if inspect.isfunction(inner) or inspect.ismethod(inner):
        asks = "lab" in inspect.signature(inner).parameters
        if asks and not inspect.iscoroutinefunction(inner):
            pytest.fail(f"{item.name} asks for `lab` and must be `async def`, to await what it checks", pytrace=False)


def _without_default_deadline(test: Any) -> None:
    from hypothesis import settings  # noqa: PLC0415

    own = getattr(test, "_hypothesis_internal_use_settings", None)
    usual = settings.default
    if own is None or usual is None or own.deadline == usual.deadline:
        test._hypothesis_internal_use_settings = settings(own, deadline=None)  # noqa: SLF001


@pytest.fixture(scope="session")
def lab_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server of this run."""
    from concurrency_lab import clash  # noqa: PLC0415

    if sentence := clash():
        raise pytest.fail.Exception(f"lab: {sentence}", pytrace=False)
    with _in_one_sentence():
        server = _server(request.config)
    with server:
        yield server


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


@pytest.fixture(scope="module")
def lab_backend(anyio_backend: Any) -> None:
    """Refuse another backend than asyncio: asyncpg has no other. Not in `lab`, which would run on that backend."""
    name = anyio_backend if isinstance(anyio_backend, str) else anyio_backend[0]
    if name != "asyncio":
        pytest.fail(
            f"the lab runs on asyncio, not on {name}: let the fixture anyio_backend return 'asyncio' for tests that "
            "use the lab",
            pytrace=False,
        )


@pytest.fixture(scope="module")
async def lab(
    lab_backend: None, lab_server: Server, anyio_backend: Any, pytestconfig: pytest.Config
) -> AsyncIterator[Lab]:
    """Checks scenarios: `await lab.check(scenario, schedule)`.

    It is asynchronous and lives as long as its module, so that anyio keeps one event loop, and with it the lab's
    connections, for all examples of all tests in the module.
    """
    from lab.explore import Explorer  # noqa: PLC0415
    from lab.testing import Lab  # noqa: PLC0415

    isolation, replay = _options(pytestconfig)
    explorer = Explorer(lab_server)
    with _in_one_sentence():
        await explorer.open()
    try:
        yield Lab(explorer, isolation=isolation, replay=replay)
    finally:
        await explorer.aclose()


@contextlib.contextmanager
def _in_one_sentence() -> Iterator[None]:
    """What the lab says of a wrong use or a failing server, without the code that found it."""
    from lab.errors import LabError  # noqa: PLC0415

    try:
        yield
    except LabError as error:
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
