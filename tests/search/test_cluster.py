"""A hunt over a dask cluster gives what one process gives, whatever becomes of workers, and leaves nothing there."""

from __future__ import annotations

import asyncio
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest
from distributed.protocol.pickle import dumps
from helpers.dask_cluster import ROOT, children_of, dask_cluster, wait_until
from helpers.lab_program import answer, lab

from lab.analysis.tally import HuntResult
from lab.errors import ServerError, UsageError
from lab.postgres.server.place import Place
from lab.search.campaign import hunt_one
from lab.search.cluster import bridge, errand
from lab.search.cluster.address import address_of
from lab.search.cluster.cluster import Cluster
from lab.search.cluster.hands import ClusterHands
from lab.search.cluster.identity import difference, identity
from lab.search.job import Job

LOST, RIGHT = "scenarios.transfer:LostUpdate", "scenarios.transfer:Transfer"
VERSION = Place().version
ENDLESS = 1_000_000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with dask_cluster(tmp_path_factory.mktemp("dask"), 2) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _finds_the_scenarios(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def timeless(value: Any) -> Any:
    """Without how long anything took."""
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if key != "seconds"}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def plain(result: HuntResult) -> Any:
    """As `--json` shows it."""
    return json.loads(json.dumps(result.shown()))


async def hunted(cluster: Cluster, job: Job, then: Callable[[], object] = lambda: None) -> HuntResult:
    """`then` is called once, when the first part is there."""
    calls = iter([then])
    return await hunt_one(None, Place(), job, 1, lambda result: next(calls, lambda: None)(), cluster=cluster)


async def test_a_cluster_gives_the_json_of_one_process(cluster):
    """Counters, failures and all, with every violation kept. Nothing of the lab is left with the workers."""
    hunt = (
        "hunt",
        LOST,
        "--scheduler",
        "random",
        "--executions",
        "8",
        "--keep-going",
        "--no-remedies",
        "--no-fresh",
        "--json",
    )
    there = lab(*hunt, "--dask", str(cluster.file), cwd=ROOT)
    assert timeless(answer(there)) == timeless(answer(lab(*hunt, cwd=ROOT)))
    assert there.returncode == 1
    wait_until(lambda: not cluster.children())


async def test_a_worker_that_is_killed_in_the_middle_loses_nothing(cluster, server):
    """Its part is made again by another one, so that the result is that of one process."""
    job = Job(LOST, "random", 24, keep_going=True, refine=False)
    alone = await hunt_one(server, Place(), job, 1, lambda result: None)
    doomed = cluster.worker()

    def kill() -> None:
        wait_until(lambda: children_of(doomed.pid))
        doomed.kill()

    result = await hunted(Cluster(cluster.address, VERSION), job, kill)
    assert timeless(plain(result)) == timeless(plain(alone))


async def test_a_hunt_that_is_interrupted_keeps_what_was_found_and_leaves_no_process(cluster):
    task = asyncio.ensure_future(
        hunted(
            Cluster(cluster.address, VERSION),
            Job(LOST, "random", ENDLESS, keep_going=True, refine=False),
            lambda: task.cancel(),  # noqa: PLW0108 - it is not there yet
        )
    )
    result = await task
    assert result.trouble == "interrupted"
    assert result.failures
    wait_until(lambda: not cluster.children())


async def test_a_search_that_stays_with_the_lab_gives_the_traces_of_one_process(cluster, server, monkeypatch):
    """By reduction, to its end: the cluster made some of the executions, and all counters are the same."""
    monkeypatch.setattr("lab.search.crew.crew.SEEN_SECONDS", 0.0)
    monkeypatch.setattr("lab.search.crew.crew.PAYS_SECONDS", 0.0)
    given = []
    give = ClusterHands.give
    monkeypatch.setattr(ClusterHands, "give", lambda *what: (given.append(what), give(*what)))
    job = Job(RIGHT, "dpor", 100)
    alone = await hunt_one(server, Place(), job, 1, lambda result: None)
    result = await hunt_one(server, Place(), job, 1, lambda result: None, cluster=Cluster(cluster.address, VERSION))
    assert result.complete
    assert result.traces == alone.traces
    assert timeless(plain(result)) == timeless(plain(alone))
    assert given


async def test_a_worker_with_other_code_is_named(cluster, tmp_path):
    """Its copy of the scenarios has one more line than ours."""
    shutil.copytree(ROOT / "scenarios", tmp_path / "scenarios")
    with (tmp_path / "scenarios/transfer.py").open("a") as file:
        file.write("# changed\n")
    other = cluster.worker(cwd=tmp_path)
    try:
        with pytest.raises(UsageError, match=r"^the dask worker tcp://.* has another version of module 'scenarios'$"):
            await hunted(Cluster(cluster.address, VERSION), Job(RIGHT, "random", ENDLESS))
    finally:
        other.terminate()
        other.wait()


async def test_without_any_worker_what_was_found_is_kept_and_one_sentence_says_so(cluster):
    """All are killed in an endless hunt, whose first part had found the bug."""
    there = Cluster(cluster.address, VERSION, workerless=0.5)
    job = Job(LOST, "random", ENDLESS, keep_going=True, refine=False)
    result = await hunted(there, job, cluster.kill_workers)
    assert result.trouble == f"the dask cluster at {cluster.address} has had no worker for 0.5 s"
    assert result.failures
    with pytest.raises(ServerError, match="has had no worker"):
        await hunted(there, job)


@pytest.mark.long
async def test_a_worker_uses_the_server_of_its_own_environment(server, tmp_path):
    """Its password is neither asked for by the lab that hunts, nor in what scheduler and workers write."""
    url = f"postgresql://postgres:hunter2hunter2@/nowhere?host={server.folder / 's'}"
    with dask_cluster(tmp_path, 1, LAB_URL=url) as cluster:
        result = await hunted(Cluster(cluster.address, VERSION), Job(RIGHT, "random", 2))
        assert 'database "nowhere" does not exist' in result.trouble
        assert "hunter2" not in result.trouble + cluster.logs()


def test_wrong_addresses_are_said_in_one_sentence(tmp_path):
    for text in ("nonsense", "tcp://host", "tcp://host:99999", "http://h:1", "", "/nowhere.json"):
        with pytest.raises(UsageError, match=r"^--dask .* is not an address like tcp://HOST:8786, and no such file$"):
            address_of(text)
    file = tmp_path / "scheduler.json"
    for content, sentence in (("{", "is not a file of a dask scheduler"), ("{}", "holds no address"), ("[]", "holds")):
        file.write_text(content)
        with pytest.raises(UsageError, match=sentence):
            address_of(str(file))
    assert address_of("tcp://[::1]:8786") == "tcp://[::1]:8786"


async def test_a_scheduler_that_is_not_there_is_said_within_a_bounded_time():
    with pytest.raises(ServerError, match=r"^cannot reach a dask scheduler at tcp://127.0.0.1:9: ."):
        await hunted(Cluster("tcp://127.0.0.1:9", VERSION, connect=0.5), Job(RIGHT, "random", 2))


WITHOUT_THE_LAB = """
import pickle, sys
sys.modules["lab"] = None
task, plugin = map(pickle.loads, pickle.load(sys.stdin.buffer))
print(task.__name__, plugin.name, *plugin.ask.__globals__["MISSING"].split())
"""


def test_what_is_sent_to_a_cluster_arrives_where_there_is_no_lab():
    """At a scheduler, which needs none, and at a worker, which can then say that it has none."""
    cloudpickle.register_pickle_by_value(errand)
    try:
        sent = [dumps(bridge.Sent(errand.perform)), dumps(errand.Children("a hunt", "{}"))]
    finally:
        cloudpickle.unregister_pickle_by_value(errand)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_LAB], input=pickle.dumps(sent), capture_output=True, check=False
    )
    assert done.stdout.decode().split() == ["perform", "a", "hunt", "No", "module", "named"], done.stderr


def test_without_the_extra_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr("lab.search.cluster.cluster.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'concurrency-lab\[dask\]'"):
        Cluster("tcp://127.0.0.1:9", VERSION)


def test_what_differs_between_two_machines_is_named():
    here = identity(RIGHT)
    assert difference(here, here) == ""
    assert difference({**here, "lab": "0"}, here) == "has another version of lab"
    assert difference({**here, "asyncpg": "0.1"}, here) == (
        f"has another version of asyncpg: 0.1, and here is {here['asyncpg']}"
    )
    assert difference(identity("nowhere:X"), {"module 'nowhere'": "1"}) == "has no module 'nowhere'"


@pytest.mark.long
def test_every_planted_bug_is_found_on_a_cluster_of_two_workers():
    done = subprocess.run(
        [sys.executable, ROOT / "bench/cluster.py", "--json"], stdout=subprocess.PIPE, check=False, cwd=ROOT
    )
    figures = json.loads(done.stdout)
    assert (figures["missed"], figures["right_not_passed"]) == ([], [])
    assert figures["found"] == figures["planted"] > 0
