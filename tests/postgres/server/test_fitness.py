"""A server that cannot serve is refused with one sentence, the same by `lab doctor`, by hunts and by the fixture."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from helpers.lab_program import environment, lab
from helpers.servers import Foreign, foreign_server, programs_of

from lab.errors import ServerError
from lab.postgres.server.cluster import Cluster
from lab.postgres.server.server import external_server

POOLER = shutil.which("pgbouncer") or (path if Path(path := "/usr/sbin/pgbouncer").exists() else None)


@pytest.fixture(scope="module")
def foreign() -> Iterator[Foreign]:
    with foreign_server(programs_of(16), settings={"max_connections": "20"}) as server:
        server.sql(
            "CREATE ROLE maker LOGIN CREATEDB",
            "CREATE ROLE plain LOGIN",
            "CREATE ROLE narrow LOGIN CREATEDB CONNECTION LIMIT 5",
            "CREATE ROLE enough LOGIN CREATEDB CONNECTION LIMIT 6",
        )
        yield server


async def refusal(url: str) -> str:
    with pytest.raises(ServerError) as raised:
        await Cluster.open(external_server(url))
    return str(raised.value)


async def opens(url: str) -> None:
    cluster = await Cluster.open(external_server(url))
    await cluster.close()


async def test_a_role_with_too_few_connections_is_refused(foreign):
    assert "may open too few connections: the lab needs 5 more than are open now" in await refusal(
        foreign.url("narrow")
    )
    await opens(foreign.url("enough"))


async def test_a_server_with_too_few_connections_is_refused(foreign):
    """The slots that are kept for superusers do not count for others."""
    idle = [await asyncpg.connect(host=str(foreign.folder), user="maker", database="postgres") for _ in range(13)]
    assert "has room for too few connections" in await refusal(foreign.url("maker"))
    await opens(foreign.url("owner"))
    for each in idle:
        await each.close()


@pytest.mark.parametrize("role", ["plain", "narrow"])
def test_the_doctor_and_a_hunt_say_the_same(foreign, role):
    """Also where the URL has a password, which both show as stars."""
    said = set()
    for line in (["doctor"], ["hunt", "Counted"], ["hunt", "Counted", "--workers", "2"]):
        done = lab(*line, env=environment(LAB_URL=foreign.url(f"{role}:hunter2hunter2")))
        assert done.returncode == 3
        said |= {each for each in (done.stdout + done.stderr).splitlines() if "the role on" in each}
    (sentence,) = {f"the role on{each.partition('the role on')[2]}" for each in said}
    assert sentence.startswith(f"the role on postgresql://{role}:***@/postgres may"), said


async def test_a_standby_is_refused():
    def standby(data: Path) -> None:
        (data / "standby.signal").touch()

    with foreign_server(programs_of(18), before=standby) as server:
        assert "is a standby, where nothing can be written" in await refusal(server.url())


@contextlib.contextmanager
def pooler(behind: Foreign, mode: str, folder: Path) -> Iterator[str]:
    """The URL of a pooler before a server."""
    own = Path(behind.folder)
    users, config = own / "users", own / f"{mode}.ini"
    users.write_text('"maker" ""\n')
    config.write_text(
        f"[databases]\n* = host={behind.folder}\n[pgbouncer]\nlisten_port=6543\nlisten_addr=\nunix_socket_dir={own}\n"
        f"auth_type=any\nauth_file={users}\npool_mode={mode}\nlogfile=\npidfile=\n"
    )
    config.write_text(config.read_text().replace("* = host", "postgres = user=maker host"))
    process = subprocess.Popen(
        [POOLER, "-q", str(config)],
        user=behind.account.user,
        group=behind.account.group,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not (own / ".s.PGSQL.6543").exists() and process.poll() is None:
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()[1]
        yield behind.url("maker", port="6543")
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.skipif(POOLER is None, reason="pgbouncer is not installed here")
@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_a_pooler_is_refused(foreign, mode, tmp_path):
    """In any mode: the numbers by which it calls its sessions are not those by which the server calls them."""
    with pooler(foreign, mode, tmp_path) as url:
        assert "is a connection pooler, or lies behind one" in await refusal(url)
