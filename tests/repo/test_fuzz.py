"""Texts from outside, by the hundred: command lines, tokens and histories, each cut, mixed and damaged by chance.

None leads to a traceback, a hang or a status that is not documented. `LAB_FUZZ` says how many of each; the promise was
held with 20,000. URLs have a test of their own beside what reads them.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import random
import re
import string
import zlib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from helpers.lab_program import lab_each

from lab.commands.line import main
from lab.errors import LabError, printable
from lab.model.decision import Go
from lab.model.replay_token import ReplayToken, _checksum, decode, encode
from lab.model.schedule import Schedule

FUZZ = int(os.environ.get("LAB_FUZZ", "300"))
ROOT = Path(__file__).parents[2]
HISTORIES = [path.read_text() for path in sorted((ROOT / "docs" / "histories").glob("*.json"))]
VALUE = re.compile(r"[:\[,]\s*(\"[^\"]*\"|-?\d+|true|false|null)")
PAIR = re.compile(r"\"[^\"]*\":\s*(?:\"[^\"]*\"|-?\d+|true|false|null)")
AT_ONCE = 150
"""Command lines that one process runs."""
SECRET = "hunter2hunter2"

WORDS = [
    *("hunt", "list", "replay", "matrix", "doctor", "invariants", "check-history", "", "-", "--", "-h", "--version"),
    *("--json", "--seed", "--workers", "--executions", "--seconds", "--scheduler", "--isolation", "--check", "--times"),
    *("--postgres", "--depth", "--dry-run", "--keep-going", "--no-remedies", "--package", "--nonsense", "--seed=x"),
    *(
        "0",
        "-1",
        "1e9",
        "nan",
        "99999999999999999999",
        "18",
        "random",
        "dfs",
        "serial",
        "READ COMMITTED",
        "serializable",
    ),
    *(
        "nowhere:X",
        ":",
        "a:",
        ":b",
        "a.b:C",
        "..:X",
        "os:path",
        "json",
        "lab1:",
        "lab1:a:B::::x",
        "{}",
        "\x00",
        "\n",
        "é",
    ),
    f"postgresql://u:{SECRET}@h:port/d",
    f"--url=postgresql://u:{SECRET}@h/@d",
    f"u:{SECRET}@h",
]
STARTS_SOMETHING = {"hunt", "doctor", "invariants", "matrix"}
"""Commands that may start a server: left to lines that cannot be right."""


def run(arguments: list[str]) -> tuple[object, str]:
    """Status and all output of one command line, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr("sys.argv", ["lab", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    return ended.value.code, out.getvalue() + err.getvalue()


def test_no_command_line_leads_to_a_traceback(tmp_path):
    """Lines that begin with a command that starts a server end with an option that does not exist.

    They run in another process, since some commands fork.
    """
    chance = random.Random(10)
    lines = []
    for _ in range(FUZZ):
        line = chance.choices(WORDS, k=chance.randrange(6))
        lines.append([*line, "--no-such-option"] if STARTS_SOMETHING & set(line) else line)
    for start in range(0, FUZZ, AT_ONCE):
        some = lines[start : start + AT_ONCE]
        for line, (status, out, err) in zip(some, lab_each(some, cwd=tmp_path), strict=True):
            assert status in (0, 1, 2, 3), line
            assert "Traceback" not in out + err, line
            assert "hunter2" not in out + err, line


def damaged(text: str, chance: random.Random) -> str:
    """A text after one to three accidents."""
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(text) + 1)
        accident = chance.randrange(5)
        if accident == 0:
            text = text[:place]
        elif accident == 1:
            text = text[:place] + chance.choice([*string.printable, "é", "\x00", "\ud800"]) + text[place:]
        elif accident == 2:
            text = text[:place] + text[place + chance.randrange(1, 9) :]
        elif accident == 3:
            text = text[:place] + text[place:][: chance.randrange(40)] * 2 + text[place:]
        else:
            text = (
                text[:place] + chance.choice(["null", "[]", "{}", "1e999", '"', ":", ",", "-1", "true"]) + text[place:]
            )
    return text


def test_no_damaged_token_leads_to_anything_but_one_sentence():
    chance = random.Random(11)
    schedule = Schedule((Go("alice"), Go("bob"), Go("alice/1"), Go("bob")))
    whole = encode(ReplayToken("shop.orders:Order.Late", {"amount": 3, "names": ("é", None)}, "SERIALIZABLE", schedule))
    assert decode(whole).schedule == schedule
    for _ in range(FUZZ):
        text = damaged(whole, chance)
        if chance.random() < 0.5:  # with a checksum that is right, so that what lies behind it is met, too
            text = text.rpartition(":")[0]
            text = f"{text}:{checksum(text)}"
        said = ""
        try:
            decode(text)
        except LabError as error:
            said = str(error)
        assert "\n" not in said, text
        assert len(said) < 1000, text


def checksum(body: str) -> str:
    try:
        return _checksum(body)
    except UnicodeEncodeError:
        return "x" * 8


NUMBERS = ("9" * 5000, f"-{'1' * 4300}", "1e400", "-1E+99999999", "1e-99999", "NaN", "Infinity", "-Infinity", "-0")
TEXTS = ('"\\ud800"', '"\\u0000"', '"\x01\x1b[2J"', '"\\u202e"', '"' + "x" * 100_000 + '"', "'single'", '"\\x41"')
DEEP = ("[" * 100_000, "[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000, '[{"":' * 2000)
ENCODINGS = ("utf-16", "utf-16-be", "utf-32", "utf-8-sig", "utf-7", "cp037")


def odd(text: str, chance: random.Random) -> bytes:
    """A history in which some value is one that few expect, or as bytes of another kind."""
    kind = chance.randrange(8)
    if kind < 4:
        values = list(VALUE.finditer(text))
        found = chance.choice(values)
        instead = chance.choice((NUMBERS, TEXTS, DEEP, ('{"a": 1, "a": 2}', '{"": {}, "": []}', "tru", ""))[kind])
        text = text[: found.start(1)] + instead + text[found.end(1) :]
    elif kind == 4:  # a key that is there twice
        pair = chance.choice(list(PAIR.finditer(text)))
        text = f"{text[: pair.end()]}, {pair[0]}{text[pair.end() :]}"
    elif kind == 5:
        return text.encode(chance.choice(ENCODINGS))
    elif kind == 6:
        packed = chance.choice((gzip.compress, zlib.compress, bz2.compress))(text.encode())
        return packed[: chance.randrange(len(packed) + 1)]
    else:
        data = bytearray(text.encode())
        for _ in range(chance.randrange(1, 9)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data)
    return text.encode()


def judged(file: Path, chance: random.Random, made: object) -> str:
    """All output of `lab check-history` for a file, in one of its forms; `made` is what the file was made from."""
    how = chance.choice([[], ["--json"], ["--isolation", "SERIALIZABLE"]])
    status, said = run(["check-history", str(file), *how])
    assert status in (0, 1, 2, 3), made
    assert "Traceback" not in said, made
    assert len(said) < 20_000 or "--json" in how, made
    return said


def test_no_odd_history_leads_to_a_traceback(tmp_path):
    """Numbers of 5,000 digits, deep nesting, keys that are there twice, other encodings, packed and cut files."""
    chance = random.Random(14)
    file = tmp_path / "history.json"
    for number in range(FUZZ):
        data = odd(chance.choice(HISTORIES), chance)
        file.write_bytes(data)
        said = judged(file, chance, (number, data[:2000]))
        assert printable(said) == said, (number, data[:2000])


def test_no_damaged_history_leads_to_a_traceback(tmp_path):
    """The three documented histories, damaged as text and as values."""
    chance = random.Random(12)
    file = tmp_path / "history.json"
    for _ in range(FUZZ):
        text = damaged(chance.choice(HISTORIES), chance)
        if chance.random() < 0.5:
            text = json.dumps(changed(json.loads(chance.choice(HISTORIES)), chance))
        file.write_text(text, errors="surrogatepass")
        judged(file, chance, text)


def changed(value: object, chance: random.Random) -> object:
    """A JSON value with some inner ones replaced."""
    if chance.random() < 0.05:
        return chance.choice([None, True, -1, 1e308, "", "x" * 50, [], {}, [[]], {"": 0}])
    if isinstance(value, dict):
        return {key if chance.random() > 0.03 else "odd": changed(each, chance) for key, each in value.items()}
    if isinstance(value, list):
        kept = [changed(each, chance) for each in value]
        return kept + kept[:1] if chance.random() < 0.1 else kept
    return value
