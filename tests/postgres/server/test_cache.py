"""What is slow to make is kept: whole or not at all, noticed when damaged, made by one of many who need it at once."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab.postgres.server import cache
from lab.postgres.server.cache import kept, renewed, stamp


def make(folder: Path) -> None:
    (folder / "data" / "empty").mkdir(parents=True)
    (folder / "data" / "one").write_text("1" * 1000)
    (folder / "data" / "two").write_text("2")


@pytest.fixture
def folder(tmp_path) -> Path:
    return kept(tmp_path / "template", make)


def never(draft: Path) -> None:
    raise AssertionError


def test_what_is_whole_is_not_made_again(folder):
    assert kept(folder, never) == folder


def truncated(folder: Path) -> None:
    os.truncate(folder / "data" / "one", 500)


def changed(folder: Path) -> None:
    (folder / "data" / "two").write_text("3")


def missing(folder: Path) -> None:
    (folder / "data" / "empty").rmdir()


def more(folder: Path) -> None:
    (folder / "data" / "postmaster.pid").touch()


def unlisted(folder: Path) -> None:
    folder.with_name("template.list").unlink()


def half_listed(folder: Path) -> None:
    os.truncate(folder.with_name("template.list"), 20)


def unreadable_list(folder: Path) -> None:
    folder.with_name("template.list").write_bytes(b"\xff")


def absent(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def closed(folder: Path) -> None:
    folder.chmod(0)


def closed_inside(folder: Path) -> None:
    (folder / "data" / "empty").chmod(0)


def of_somebody_else(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(folder / "data" / "one", 1, -1)


def folder_of_somebody_else(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives folders away")
    os.chown(folder, 1, -1)


def a_pipe_inside(folder: Path) -> None:
    (folder / "data" / "two").unlink()
    os.mkfifo(folder / "data" / "two")


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        changed,
        missing,
        more,
        unlisted,
        half_listed,
        unreadable_list,
        absent,
        closed,
        closed_inside,
        of_somebody_else,
        folder_of_somebody_else,
        a_pipe_inside,
    ],
    ids=lambda f: f.__name__,
)
def test_a_damaged_folder_is_made_anew(folder, damage):
    before = stamp(folder)
    damage(folder)
    kept(folder, make)
    assert stamp(folder) != before
    assert (folder / "data" / "one").stat().st_size == 1000
    assert (folder / "data" / "two").read_text() == "2"
    assert sorted(each.name for each in (folder / "data").iterdir()) == ["empty", "one", "two"]
    assert not list(folder.parent.glob("*.draft*"))


def a_folder(path: Path) -> None:
    (path / "inside").mkdir(parents=True)
    (path / "inside").chmod(0)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # its name has room for some 100 characters
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def a_file(path: Path) -> None:
    path.write_text("of somebody's")


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def a_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def a_link_to_the_whole(path: Path) -> None:
    """As of one who moved it to another disk."""
    path.symlink_to(path.with_name("moved"))


@pytest.mark.parametrize(
    "other",
    [a_folder, a_pipe, a_socket, a_file, a_link_to_itself, a_dangling_link, a_link_to_the_whole],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("what", ["template", "template.list", "template.lock"])
def test_what_stands_in_the_place_of_ours_is_taken_away_and_no_link_followed(folder, what, other):
    """It ends, too: opening a pipe would wait for somebody who writes to it."""
    place = folder.with_name(what)
    place.rename(moved := folder.with_name("moved"))
    content = None if moved.is_dir() else moved.read_bytes()
    other(place)
    truncated(moved if what == "template" else folder)
    kept(folder, make)
    assert (folder / "data" / "one").stat().st_size == 1000
    left = sorted(each.name for each in folder.parent.iterdir())
    assert left == ["moved", "template", "template.list", "template.lock"]
    assert (folder.is_symlink(), place.is_symlink()) == (False, False)
    assert content is None or moved.read_bytes() == content
    assert kept(folder, never) == folder


def test_drafts_of_any_kind_are_removed(folder):
    for number, kind in enumerate((a_folder, a_pipe, a_file, a_dangling_link)):
        kind(folder.with_name(f"template.draft-{number}"))
    truncated(folder)
    kept(folder, make)
    assert not list(folder.parent.glob("*.draft*"))


@pytest.mark.parametrize("kind", [a_pipe, a_folder, a_link_to_itself], ids=lambda f: f.__name__)
def test_a_lock_that_was_none_is_one_for_all_who_come_at_once(tmp_path, kind):
    kind(tmp_path / "template.lock")
    (tmp_path / "made").touch()
    started = [
        subprocess.Popen([sys.executable, "-c", FIRST, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert {each.communicate(timeout=20)[0].strip() for each in started} == {str(tmp_path / "template")}
    assert (tmp_path / "made").read_text() == "x"


def test_nobody_else_can_hold_the_lock(folder):
    assert folder.with_name("template.lock").stat().st_mode & 0o077 == 0


def test_a_renewed_one_takes_the_place_of_one_that_was_of_no_use(folder):
    before = stamp(folder)
    with renewed(folder, make, before) as new:
        assert new != folder
        assert stamp(folder) == before, "those who use the old one are not disturbed"
    assert stamp(folder) not in {before, None}
    assert kept(folder, never) == folder
    with renewed(folder, never, before) as theirs:
        assert theirs == folder, "somebody has replaced it already"


def test_a_renewed_one_that_is_of_no_use_either_is_thrown_away(folder):
    before = stamp(folder)
    with pytest.raises(ZeroDivisionError), renewed(folder, make, before):
        raise ZeroDivisionError
    assert stamp(folder) == before
    assert kept(folder, never) == folder
    assert not list(folder.parent.glob("*.draft*"))


def test_a_draft_of_a_killed_process_is_removed_by_the_next_that_makes_one(tmp_path):
    def killed(draft: Path) -> None:
        make(draft)
        os._exit(9)

    if (pid := os.fork()) == 0:
        kept(tmp_path / "template", killed)
    os.waitpid(pid, 0)
    assert list(tmp_path.glob("*.draft-*"))
    kept(tmp_path / "template", make)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["template", "template.list", "template.lock"]


def test_what_cannot_be_made_leaves_no_half(tmp_path):
    def full(draft: Path) -> None:
        make(draft)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        kept(tmp_path / "template", full)
    assert [each.name for each in tmp_path.iterdir()] == ["template.lock"]


FIRST = """
import sys, time
from pathlib import Path
from lab.postgres.server.cache import kept, renewed, stamp
def make(folder):
    Path(sys.argv[1], "made").open("a").write("x")
    (folder / "one").write_text("1")
    time.sleep(0.1)
print(kept(Path(sys.argv[1], "template"), make))
"""


def test_of_six_that_need_it_at_once_one_makes_it(tmp_path):
    started = [
        subprocess.Popen([sys.executable, "-c", FIRST, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    assert {each.communicate()[0].strip() for each in started} == {str(tmp_path / "template")}
    assert (tmp_path / "made").read_text() == "x"


def test_the_list_knows_every_kind_of_entry(folder):
    (folder / "data" / "empty").chmod(0o755)
    (folder / "data" / "link").symlink_to("one")
    text = cache._listed(folder)
    assert '"data/link"' in text
    assert '["data/empty", 16877, ' in text
