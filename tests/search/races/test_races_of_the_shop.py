"""The shop's own five races, from its own unchanged tests; and none in its mended twin."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.seen import Seen, squeezed

from lab.search.races.pairs import TIMES

SHOP = Path(__file__).parents[3] / "examples" / "shop"
CODE = ("carts.py", "checkout.py", "coupons.py", "orders.py", "points.py")
"""File of `shop/services` with a race."""
FEW = "not_sold or cart_is_there or coupon_gives or given_to_another or cancelled_is_refunded"
"""Tests of the shop that show one race each."""


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "shop"
    shutil.copytree(SHOP, folder, ignore=shutil.ignore_patterns("__pycache__", ".lab", "*.egg-info"))
    return folder


def mend(folder):
    for patch in sorted((folder / "fixes").glob("*.patch")):
        subprocess.run(["patch", "-p1", "-i", str(patch)], cwd=folder, check=True, capture_output=True)


def env():
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "LAB_", "SHOP_"))}


def raced(folder, *more):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--lab-races", "--lab-races-json=races.json"]
    done = subprocess.run([*command, *more], cwd=folder, env=env(), capture_output=True, text=True, check=False)
    return done, json.loads((folder / "races.json").read_text())


def files(data):
    return sorted(Path(each["line"].rpartition(":")[0]).name for each in data["races"])


def hunted(folder, module, name):
    command = [sys.executable, "-m", "lab.cli", "hunt", f"races.{module}:{name}", "--no-remedies", "--no-fresh"]
    return subprocess.run(command, cwd=folder, env=env(), capture_output=True, text=True, check=False)


def written(shop, tests, found):
    """Race these tests of the shop, and hunt what is written, before it is mended and after it; the report's data."""
    done, data = raced(
        shop, "-k", tests, "--lab-races-seconds=400", "--lab-races-write=races", "--lab-races-html=races.html"
    )
    assert done.returncode == 1, done.stdout
    page = Seen((shop / "races.html").read_text()).text()
    assert all(squeezed(each["line"]) in page for each in data["races"])
    assert squeezed(data["summary"]) in page
    assert files(data) == sorted(found), done.stdout
    assert all(each["cause"] for each in data["races"])
    scenarios = re.findall(r"^wrote races/\w+\.py: lab hunt races\.(\w+):(\w+)$", done.stdout, re.MULTILINE)
    assert len(scenarios) == len(found), done.stdout
    for each in scenarios:
        done = hunted(shop, *each)
        assert done.returncode == 1, done.stdout + done.stderr
    mend(shop)
    for each in scenarios:
        done = hunted(shop, *each)
        assert done.returncode == 0, done.stdout + done.stderr
    return data


def test_a_race_is_found_and_minimised_once_and_its_written_scenario_fails_until_it_is_mended(shop):
    """Then no race is left, and what is safe says how much was run."""
    data = written(shop, "coupon_gives", ["coupons.py"])
    racy = [each["limits"] for each in data["pairs"] if each["standing"] == "racy"]
    of_itself = data["races"][0]["pairs"][0]["requests"][0]
    assert len(racy) == 2
    assert racy[1].endswith(f", as it was met: the race was minimised for {of_itself} {TIMES} itself"), racy
    assert "minimised" not in racy[0]
    done, data = raced(shop, "-k", "coupon_gives")
    assert done.returncode == 0, done.stdout
    assert {each["standing"] for each in data["pairs"]} == {"safe"}, done.stdout
    assert all(each["limits"].startswith("all traces of their statements, ") for each in data["pairs"])


@pytest.mark.long
def test_races_are_found_in_tests_that_show_one_each_and_the_written_scenarios_fail_until_they_are_mended(shop):
    written(shop, FEW, CODE)
    done, data = raced(shop, "-k", FEW, "--lab-races-seconds=400")
    assert not [each for each in data["pairs"] if each["standing"] != "safe"], done.stdout
    assert done.returncode == 0


def test_an_accepted_race_is_reported_and_fails_no_run(shop):
    entry = '[[accepted]]\nrequests = ["POST /customers/{}/gifts"]\nreason = "nobody gives points at Christmas"\n'
    (shop / "lab-races.toml").write_text(entry)
    done, data = raced(shop, "-k", "given_to_another")
    assert [each["accepted"] for each in data["races"]] == ["nobody gives points at Christmas"]
    assert "(accepted: nobody gives points at Christmas)" in done.stdout
    assert done.returncode == 0, done.stdout


def test_an_entry_without_a_reason_is_refused_in_one_sentence(shop):
    (shop / "lab-races.toml").write_text('[[accepted]]\nline = "shop/services/orders.py"\n')
    command = [sys.executable, "-m", "pytest", "--lab-races"]
    done = subprocess.run(command, cwd=shop, env=env(), capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "[[accepted]] number 1 has no reason" in done.stderr


@pytest.mark.long
def test_all_tests_of_the_shop_show_five_races_in_120_seconds_and_its_twin_none(shop):
    done, data = raced(shop)
    assert files(data) == sorted(CODE), done.stdout
    assert not [each for each in data["pairs"] if each["standing"] not in ("racy", "safe")], done.stdout
    assert sum("as it was met" not in each["limits"] for each in data["pairs"] if each["standing"] == "racy") == 5
    mend(shop)
    for _ in range(10):
        done, data = raced(shop)
        assert not data["races"], done.stdout


def test_a_run_that_sends_nothing_is_no_pass(tmp_path):
    (tmp_path / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    done, _ = raced(tmp_path)
    assert done.returncode == 1
    assert "no test sent a request" in done.stdout


def test_a_page_in_no_folder_is_refused_before_anything_runs(tmp_path):
    command = [sys.executable, "-m", "pytest", "--lab-races", "--lab-races-html=nowhere/races.html"]
    done = subprocess.run(command, cwd=tmp_path, env=env(), capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert f"--lab-races-html nowhere/races.html: there is no folder {tmp_path / 'nowhere'}" in done.stderr


def test_races_and_several_workers_are_refused_in_one_sentence(tmp_path):
    command = [sys.executable, "-m", "pytest", "--lab-races", "-n", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "--lab-races races in one process: add -n 0" in done.stderr
