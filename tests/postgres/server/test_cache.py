"""What is slow to make is kept: whole or not at all, noticed when damaged, made by one of many who need it at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.postgres.server import cache
from lab.postgres.server.cache import kept


def make(folder: Path) -> None:
    (folder / "data" / "empty").mkdir(parents=True)
    (folder / "data" / "one").write_text("1" * 1000)
    (folder / "data" / "two").write_text("2")


@pytest.fixture
def folder(tmp_path) -> Path:
    return kept(tmp_path / "template", make)


def test_what_is_whole_is_not_made_again(folder):
    def never(draft: Path) -> None:
        raise AssertionError

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


@pytest.mark.parametrize(
    "damage",
    [truncated, changed, missing, more, unlisted, half_listed, unreadable_list, absent],
    ids=lambda f: f.__name__,
)
def test_a_damaged_folder_is_made_anew(folder, damage):
    damage(folder)
    kept(folder, make)
    assert (folder / "data" / "one").stat().st_size == 1000
    assert (folder / "data" / "two").read_text() == "2"
    assert sorted(each.name for each in (folder / "data").iterdir()) == ["empty", "one", "two"]
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
from lab.postgres.server.cache import kept
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
    (folder / "data" / "link").symlink_to("one")
    text = cache._listed(folder)
    assert '"data/link"' in text
    assert '"data/empty", 0, 0, 0' in text
