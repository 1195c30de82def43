"""`lab check-history` from the outside: the documented examples, the exit statuses, JSON, and wrong files."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from helpers.lab_program import PROGRAM, environment, lab_each

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = DOCS / "histories"
PAGE = (DOCS / "history.md").read_text()
WRONG = ("missing", "folder", "no name", "broken", "twice", "deep", "digits", "scalar", "bytes")


def test_every_verdict_has_its_exit_status_and_wrong_files_are_told_in_a_sentence(tmp_path):
    files = {
        "broken": '{"model": ',
        "twice": '{"model": "rw-register", "model": "list-append", "transactions": []}',
        "empty": '{"model": "rw-register", "transactions": []}',
        "deep": "[" * 200_000,
        "digits": f'{{"transactions": [{"9" * 5000}]}}',
        "scalar": "7",
        "open": json.dumps(
            {
                "model": "rw-register",
                "transactions": [
                    {"operations": each}
                    for each in (
                        [["write", "x", 1]],
                        [["write", "x", 2]],
                        [["read", "x", 1], ["write", "y", 1]],
                        [["read", "y", 1], ["read", "x", 2], ["write", "z", 1]],
                        [["read", "z", 1], ["read", "x", 1]],
                    )
                ],
            }
        ),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    lines = {
        "allowed": [str(EXAMPLES / "lost_update.json")],
        "at a level": [str(EXAMPLES / "lost_update.json"), "--isolation", "repeatable read"],
        "violation": [str(EXAMPLES / "write_skew.json"), "--json"],
        "clean": [str(EXAMPLES / "list_append.json"), "--json"],
        "missing": [str(tmp_path / "missing")],
        "folder": [str(tmp_path)],
        "no name": ["no\0name"],
        **{name: [str(tmp_path / name)] for name in [*files, "bytes"]},
    }
    done = dict(zip(lines, lab_each([["check-history", *line] for line in lines.values()]), strict=True))
    assert {name: status for name, (status, _, _) in done.items()} == {
        "allowed": 0,
        "at a level": 1,
        "violation": 1,
        "clean": 0,
        "open": 3,
        "empty": 3,
        **dict.fromkeys(WRONG, 2),
    }
    for name in WRONG:
        assert done[name][1] == ""
        assert re.fullmatch(r"lab: .+\n", done[name][2]), done[name][2]
    assert "a number of 5000 digits is too long to be a value" in done["digits"][2]
    assert "not valid JSON: Expecting value in line 1, column 11" in done["broken"][2]
    assert 'see "orders"' in done["open"][1]
    violation = json.loads(done["violation"][1])
    assert (violation["verdict"], violation["serializable"]) == ("fail", False)
    assert [(each["name"], each["promised"]) for each in violation["anomalies"]] == [("G2-item", True)]
    assert json.loads(done["clean"][1]).items() >= {"verdict": "pass", "serializable": True, "committed": 4}.items()
    assert done["allowed"][1].strip() in PAGE, "docs/history.md shows what is printed"


def test_the_example_of_the_page_is_read_from_standard_input():
    example, *_ = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [PROGRAM, "check-history", "-"],
        input=example,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("pass: 4 committed transactions of 5")
