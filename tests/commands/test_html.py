"""`--html` and `--plot`: pages of hunts, replays, levels, schedulers; what cannot be written is refused first."""

from __future__ import annotations

import json
import re

import pytest
from helpers.lab_program import lab
from helpers.seen import Seen

FEW = ("--executions", "20", "--no-fresh", "--remedies-seconds", "2")


def test_a_hunt_has_a_page_and_its_failure_one_beside_it_with_what_helps(tmp_path):
    """The page of the hunt leads to that of the failure and back; standard output is the same as without."""
    done = lab("hunt", "LostCount", *FEW, "--html", str(tmp_path / "count.html"))
    assert done.returncode == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["count-failure-1.html", "count.html"]
    whole = Seen((tmp_path / "count.html").read_text())
    assert [values["href"] for tag, values in whole.elements if values.get("href") == "count-failure-1.html"]
    verdict = next(line for line in done.stdout.splitlines() if line.startswith("fail: "))
    assert "".join(verdict.split()) in whole.text()
    failure = Seen((tmp_path / "count-failure-1.html").read_text())
    assert [values["href"] for tag, values in failure.elements if values.get("href") == "count.html"]
    token = re.search(r"lab replay (\S+)", done.stdout)[1]
    assert token in failure.text()
    grid = next(line for line in done.stdout.splitlines() if line.startswith("  SELECT … FOR UPDATE"))
    assert all(word in failure.text("all") for word in grid.split())


def test_a_pass_has_a_page_that_says_what_it_rests_on(tmp_path):
    done = lab("hunt", "Counted", *FEW, "--html", str(tmp_path / "counted.html"), "--json")
    assert done.returncode == 0
    page = Seen((tmp_path / "counted.html").read_text())
    assert "Noviolationwasmet." in page.text()
    answer = json.loads(done.stdout)
    assert all(digest in page.text("all") for digest in answer["outcomes"])
    assert str(answer["distinct_traces"]) in page.text("all")


def test_a_replay_has_a_page_also_where_it_passes(tmp_path):
    token = json.loads(lab("hunt", "LostCount", *FEW, "--no-remedies", "--json").stdout)["failures"][0]["token"]
    file = tmp_path / "replay.html"
    assert lab("replay", token, "--times", "2", "--html", str(file)).returncode == 1
    page = Seen(file.read_text())
    assert "replayed2/2identical·verdictfail" in page.text()
    assert token in page.text()


def test_levels_and_schedulers_have_pages(tmp_path):
    assert lab("matrix", "LostCount", "--executions", "5", "--html", str(tmp_path / "levels.html")).returncode == 1
    page = Seen((tmp_path / "levels.html").read_text())
    assert all(level in page.text() for level in ("READCOMMITTED", "REPEATABLEREAD", "SERIALIZABLE"))
    quick = ("--schedulers", "random,dpor", "--seeds", "2", "--seconds", "2")
    assert lab("tune", "LostCount", *quick, "--html", str(tmp_path / "tune.html")).returncode == 0
    page = Seen((tmp_path / "tune.html").read_text())
    assert "dpor" in page.text()
    assert [tag for tag, values in page.elements if (values.get("class") or "").startswith("plot")]


def test_a_hunt_has_a_picture(tmp_path):
    file = tmp_path / "hunt.svg"
    assert lab("hunt", "Counted", *FEW, "--plot", str(file)).returncode == 0
    assert "distinct traces" in file.read_text()


def test_a_replay_has_a_picture_of_its_lanes(tmp_path):
    """With the steps, what was stale and who is who; the standard output is the same as without."""
    token = json.loads(lab("hunt", "LostCount", *FEW, "--no-remedies", "--json").stdout)["failures"][0]["token"]
    file = tmp_path / "replay.svg"
    done = lab("replay", token, "--times", "1", "--plot", str(file))
    assert done.returncode == 1
    assert done.stdout == lab("replay", token, "--times", "1").stdout
    drawn = file.read_text()
    assert all(word in drawn for word in ("LOST UPDATE", "COMMIT", "stale from here", "rw", "ww"))


def test_the_page_of_a_hunt_counts_the_executions_of_each_anomaly(tmp_path):
    lab("hunt", "LostCount", *FEW, "--no-remedies", "--keep-going", "--html", str(tmp_path / "count.html"))
    page = Seen((tmp_path / "count.html").read_text())
    assert re.search(r"ExecutionsbyanomalyanomalynumbershareofthelargestP4[1-9]", page.text())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("hunt", "Counted", "--html", "nowhere/x.html"), "--html nowhere/x.html: there is no folder"),
        (("hunt", "--html", "x.html"), "draw the hunt of one TARGET"),
        (("hunt", "Counted", "--plot", "x.txt"), "a plot is a file that ends in .svg or .png"),
        (("replay", "lab1:x", "--html", "/proc/none/x.html"), "there is no folder"),
        (("matrix", "Counted", "--html", "."), "is a directory"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_sentence(arguments, sentence):
    done = lab(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
