"""What a server needs, where it is kept, and what happens when that was damaged in a way that no list shows."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from helpers.lab_program import temporary_folder

from lab.errors import ServerError
from lab.postgres.server import cache_place, embedded, install
from lab.postgres.server.cache_place import cache_folder
from lab.postgres.server.embedded import embedded_server
from lab.postgres.server.install import Account, prepared


@pytest.fixture
def cache(monkeypatch):
    """A cache of the test's own, and no clock's library, which is tried first."""
    with temporary_folder() as folder:
        (cache := folder / "cache").mkdir()
        monkeypatch.setattr(install, "cache_folder", lambda: cache)
        monkeypatch.setattr(embedded, "clock_library", lambda account: None)
        yield cache


def overwritten(path: Path) -> None:
    """As by a bad disk: the size and the time of the last change stay."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"\x5a" * 200)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def drafts(cache: Path) -> list[Path]:
    return list(cache.glob("*draft*"))


def test_a_template_that_does_not_start_is_made_anew_at_once(cache):
    template = prepared(18).template
    overwritten(template / "global" / "pg_control")
    with embedded_server():
        pass
    made = prepared(18).stamp
    with embedded_server():
        pass
    assert prepared(18).stamp == made, "the second start rests on the new one"
    assert drafts(cache) == []


def test_a_second_start_that_fails_too_is_the_last_and_keeps_the_template(cache, monkeypatch):
    starts = []

    def fails(*_: object) -> None:
        starts.append(1)
        raise ServerError(f"start {len(starts)} failed")

    before = prepared(18).stamp
    monkeypatch.setattr(embedded, "_in_a_folder", fails)
    with pytest.raises(ServerError, match="start 2 failed"):
        embedded_server()
    assert prepared(18).stamp == before
    assert drafts(cache) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has copies of the programs")
@pytest.mark.parametrize("program", ["postgres", "initdb"])
def test_damaged_copies_of_the_programs_are_made_anew(cache, monkeypatch, program):
    reaches = Account.reaches
    monkeypatch.setattr(Account, "reaches", lambda self, folder: folder.name != "bin" and reaches(self, folder))
    found = prepared(18)
    assert cache in found.programs.parents
    overwritten(found.programs / "bin" / program)
    if program == "initdb":
        shutil.rmtree(found.template)
    with embedded_server():
        pass
    assert drafts(cache) == []


def test_what_cannot_be_kept_is_one_sentence_that_names_the_cache(cache, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install, "kept", full)
    with pytest.raises(ServerError, match=f"cannot be kept in {cache} .*No space left on device.*remove that folder"):
        prepared(18)


@pytest.fixture
def place(monkeypatch):
    """Where the user's cache would be; elsewhere is where a temporary folder would be."""
    with temporary_folder() as folder:
        for name in ("site_cache_path", "user_cache_path"):
            monkeypatch.setattr(cache_place.platformdirs, name, lambda *_, **__: folder / "cache")
        (folder / "elsewhere").mkdir()
        monkeypatch.setattr(cache_place.tempfile, "gettempdir", lambda: str(folder / "elsewhere"))
        yield folder


@pytest.mark.parametrize(("mode", "taken"), [(0o755, True), (0o711, True), (0o700, True), (0o777, False)])
def test_a_cache_folder_is_used_unless_others_write_to_it(place, mode, taken):
    (place / "cache").mkdir()
    (place / "cache").chmod(mode)
    found = cache_folder()
    assert (found == place / "cache") is taken
    assert os.geteuid() != 0 or found.stat().st_mode & 0o001, "the server's account passes through it"
    assert not found.stat().st_mode & 0o022


@pytest.mark.parametrize("kind", ["file", "link", "somebody"])
def test_a_cache_folder_that_is_none_of_ours_is_left_alone(place, kind):
    if kind == "file":
        (place / "cache").touch()
    elif kind == "link":
        (place / "cache").symlink_to(place / "nowhere")
    elif os.geteuid() == 0:
        (place / "cache").mkdir()
        os.chown(place / "cache", 1, -1)
    else:
        pytest.skip("only root gives folders away")
    assert cache_folder().parent == place / "elsewhere"


def test_a_home_that_nobody_knows_leaves_no_folder_called_tilde(place, monkeypatch):
    for name in ("site_cache_path", "user_cache_path"):
        monkeypatch.setattr(cache_place.platformdirs, name, lambda *_, **__: Path("~/.cache"))
    monkeypatch.chdir(place)
    assert cache_folder().parent == place / "elsewhere"
    assert not (place / "~").exists()


@pytest.mark.parametrize("kind", ["file", "pipe", "link", "dangling"])
def test_where_no_folder_can_be_used_a_sentence_says_which(place, kind):
    (place / "cache").touch()
    name = place / "elsewhere" / f"concurrency-lab-{os.geteuid()}"
    {
        "file": name.touch,
        "pipe": lambda: os.mkfifo(name),
        "link": lambda: name.symlink_to(place),
        "dangling": lambda: name.symlink_to(place / "nowhere"),
    }[kind]()
    with pytest.raises(ServerError, match=f"{name} is not a folder of this user"):
        cache_folder()
