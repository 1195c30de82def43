"""The shop's requests out of a file, raced from the rows of its own seed: a race, and none once it is mended."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.lab_program import lab

SHOP = Path(__file__).parents[3] / "examples" / "shop"
REDEEMS = {"method": "POST", "path": "/customers/alice/coupons", "json": {"code": "WELCOME"}, "status": 201}


@pytest.fixture
def shop(tmp_path):
    folder = tmp_path / "shop"
    shutil.copytree(SHOP, folder, ignore=shutil.ignore_patterns("__pycache__", ".lab", "*.egg-info"))
    (folder / "coupon.jsonl").write_text(json.dumps(REDEEMS))
    body = {"mimeType": "application/json", "text": json.dumps(REDEEMS["json"])}
    request = {"method": "POST", "url": f"https://shop{REDEEMS['path']}", "headers": [], "postData": body}
    entry = {"request": request, "response": {"status": 201, "content": {}}}
    (folder / "coupon.har").write_text(json.dumps({"log": {"entries": [entry]}}))
    return folder


def raced(folder, file):
    arguments = ("--requests", file, "--before", "shop.seed:main", "--write", "found", "--json")
    done = lab("races", "shop.main:app", *arguments, cwd=folder)
    assert done.stderr == "", done
    return done, json.loads(done.stdout)["races"]


def is_raced(folder, file):
    done, (race,) = raced(folder, file)
    assert (race["anomaly"], race["cause"]) == ("P4", "check-then-update")
    assert race["line"].startswith("shop/services/coupons.py:")
    assert done.returncode == 1


def test_a_coupon_is_used_up_twice_until_it_is_mended(shop):
    is_raced(shop, "coupon.jsonl")
    options = ("--no-remedies", "--no-fresh", "--scheduler", "dpor", "--executions", "40")
    hunt = ("hunt", "found.race_coupons_other_coupons:CouponsOtherCoupons", *options)
    done = lab(*hunt, cwd=shop)
    assert "LOST UPDATE" in done.stdout, done
    assert done.returncode == 1
    patch = shop / "fixes" / "coupon-used-up-twice.patch"
    subprocess.run(["patch", "-p1", "-i", str(patch)], cwd=shop, check=True, capture_output=True)
    assert lab(*hunt, cwd=shop).returncode == 0


@pytest.mark.long
def test_the_same_as_a_har_shows_the_same_until_it_is_mended(shop):
    is_raced(shop, "coupon.har")
    for patch in sorted((shop / "fixes").glob("*.patch")):
        subprocess.run(["patch", "-p1", "-i", str(patch)], cwd=shop, check=True, capture_output=True)
    done, races = raced(shop, "coupon.har")
    assert (races, done.returncode) == ([], 0), done
