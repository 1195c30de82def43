"""`lab tune`: a table, one sentence, and a line that `lab hunt` obeys; wrong use is one sentence."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from shutil import copytree

import pytest
from helpers.lab_program import CASES, answer, environment, lab, lab_each

QUICK = ("--schedulers", "serial,random", "--seeds", "2")


@pytest.fixture(scope="module")
def compared():
    return lab("tune", "LostCount", *QUICK)


def test_it_ends_with_a_sentence_and_a_line(compared):
    assert (compared.returncode, compared.stderr) == (0, "")
    lines = compared.stdout.splitlines()
    assert lines[0].startswith("scenarios.counter:LostCount: executions to the first violation · ")
    assert lines[1].split()[:2] == ["scheduler", "found"]
    assert [line.split()[0] for line in lines[2:4]] == ["random", "serial"]
    said = next(number for number, line in enumerate(lines) if line.startswith("Use random: it needs "))
    assert lines[said + 2] == "For [tool.lab] of pyproject.toml:"
    assert lines[said + 3 :] == ['  tuned."scenarios.counter:LostCount" = {scheduler = "random"}']


def test_a_hunt_obeys_the_line(compared, tmp_path):
    copytree(CASES / "scenarios", tmp_path / "scenarios")
    table = f"[tool.lab]\n{compared.stdout.splitlines()[-1].strip()}\n"
    assert tomllib.loads(table)["tool"]["lab"]["tuned"]
    (tmp_path / "pyproject.toml").write_text(table)
    hunt = ["hunt", "LostCount", "--no-remedies", "--no-fresh"]
    (tuned, chosen) = lab_each([hunt, [*hunt, "--scheduler", "pos"]], cwd=tmp_path)
    assert "random(seed=0)" in tuned[1]
    assert "pos(seed=0)" in chosen[1]


def test_of_several_scenarios_the_portfolio_gets_turns():
    samplers = "portfolio,random,urw,pos,pct(depth=3)"
    done = lab("tune", "scenarios.counter", "--schedulers", samplers, "--seeds", "2", "--seconds", "3", "--json")
    result = answer(done)
    assert done.returncode == 0
    assert [each["target"].partition(":")[2] for each in result["results"]] == ["Counted", "LostCount", "Refused"]
    assert [each["compared_by"] for each in result["results"]][:2] == ["coverage", "executions"]
    assert set(result["turns"]) == {"random", "urw", "pos", "pct"}
    (line,) = result["turns_lines"]
    assert line.startswith('tuned."scenarios.counter" = {scheduler = "portfolio", options = {random = ')


def test_curves_are_drawn_into_the_file(tmp_path):
    """Where there are none, the figures stand, and a sentence says why there is no file."""
    file = tmp_path / "curves.svg"
    assert lab("tune", "LostCount", *QUICK, "--plot", str(file)).returncode == 0
    assert b"</svg>" in file.read_bytes()
    file = tmp_path / "none.png"
    done = lab("tune", "Counted", *QUICK, "--plot", str(file))
    assert (done.returncode, file.exists()) == (0, False)
    assert done.stderr.endswith("no violation was met, so there is no curve to draw\n")
    assert "Nothing separates them: no scheduler met a violation" in done.stdout


WRONG = {
    ("tune",): "Missing argument 'TARGET…'",
    ("tune", "LostCoun"): "no scenario named 'LostCoun'; did you mean scenarios.counter:LostCount",
    ("tune", "LostCount", "--schedulers", "best,pos"): "unknown scheduler 'best'",
    ("tune", "LostCount", "--bug", "nothing"): "has no invariant 'nothing'",
    ("tune", "LostCount", "--plot", "curves.txt"): "a plot is a file that ends in .svg or .png",
    ("tune", "LostCount", "--plot", "nowhere/curves.svg"): "there is no folder",
    ("tune", "LostCount", "--seconds", "0"): "0.0 is not in the range",
}


@pytest.mark.parametrize("line", WRONG, ids=" ".join)
def test_wrong_use_is_told_before_anything_runs(line):
    done = lab(*line)
    assert (done.returncode, done.stdout) == (2, "")
    assert WRONG[line] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("module", "extra"), [("scipy", "tune"), ("matplotlib", "plots")])
def test_a_missing_extra_is_one_sentence(module, extra, tmp_path):
    script = f"""
import sys
sys.modules[{module!r}] = None
from lab.cli import main
sys.argv = ["lab", "tune", "LostCount", "--plot", "curves.svg"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=CASES, env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(f"pip install 'concurrency-lab[{extra}]'\n")


def test_an_interruption_shows_what_is_known(tmp_path):
    """Ctrl-C comes in the thirtieth execution, while an invariant is checked."""
    copytree(CASES / "scenarios", tmp_path / "scenarios")
    (tmp_path / "stopped.py").write_text(
        "import os\nimport signal\n\nfrom lab import invariant\nfrom scenarios.counter import LostCount\n\n"
        "class Stopped(LostCount):\n    asked = []\n\n    @invariant\n    async def nobody_stops(self) -> None:\n"
        "        self.asked.append(1)\n        if len(self.asked) == 30:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
    )
    line = ("tune", "stopped:Stopped", "--schedulers", "random,pos", "--seeds", "1000")
    done = lab(*line, cwd=tmp_path)
    assert done.returncode == 3
    assert "It ended early: interrupted" in done.stdout
    assert "random" in done.stdout.splitlines()[2] + done.stdout.splitlines()[3]
    assert "Traceback" not in done.stdout + done.stderr
