"""Published races in libraries from PyPI: found by default settings, and replayed in fresh processes.

Each library is installed in an environment of its own, in the version that had the race. The scenarios are in
`libraries/`: the library's own functions as actors, its engine as it makes it, with a URL that leads nowhere.

    python bench/libraries.py               # installs, hunts, replays 100 times each
    python bench/libraries.py --keep DIR    # keeps the environments there, and uses those that are there
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from _common import show

HERE = Path(__file__).resolve().parent
LIBRARIES = {
    "advanced-alchemy==1.8.0": "with_advanced_alchemy:SameTag",
    "google-adk==1.23.0": "with_google_adk:BothAppend",
    "openai-agents==0.12.5": "with_openai_agents:BothCreateTables",
}
FRESH = 5
"""Processes that the replays of a token are spread over."""


def environment(folder: Path, library: str) -> Path:
    """The programs of an environment that has the library and this lab. Raises `CalledProcessError`."""
    venv = folder / library.partition("==")[0]
    if not (venv / "bin/lab").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        install = ["install", "--quiet", "--disable-pip-version-check", "--editable", HERE.parent, library]
        subprocess.run([venv / "bin/python", "-m", "pip", *install], check=True)
    return venv / "bin"


def lab(programs: Path, *arguments: str) -> dict[str, object]:
    """One call of the lab in a process of its own; what it says as JSON."""
    done = subprocess.run(
        [programs / "lab", *arguments, "--json"], cwd=HERE / "libraries", capture_output=True, text=True, check=False
    )
    if done.returncode != 1:
        raise SystemExit(f"lab {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    return dict(json.loads(done.stdout))


def tried(programs: Path, target: str, replays: int) -> dict[str, object]:
    """Hunt with default settings, then replay what was found."""
    found = lab(programs, "hunt", target, "--no-remedies")
    failure = found["failures"][0]  # type: ignore[index]
    identical = 0
    for _ in range(FRESH):
        identical += int(lab(programs, "replay", failure["token"], "--times", str(replays // FRESH))["identical"])  # type: ignore[call-overload]
    return {
        "execution": found["executions"],
        "checker": failure["checker"],
        "anomaly": failure["anomaly"],
        "steps": failure["steps"],
        "replays": replays // FRESH * FRESH,
        "identical": identical,
    }


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replays", type=int, default=100)
    parser.add_argument("--keep", type=Path, metavar="DIR")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lab-libraries-") as temporary:
        folder = options.keep or Path(temporary)
        figures = {
            library: tried(environment(folder, library), target, options.replays)
            for library, target in LIBRARIES.items()
        }
    columns = ("library", "found in execution", "by", "steps", "replays in fresh processes")
    rows = [
        (
            library,
            each["execution"],
            each["anomaly"] or each["checker"],
            each["steps"],
            f"{each['identical']} of {each['replays']} identical",
        )
        for library, each in figures.items()
    ]
    show("Published races", columns, rows, figures, as_json=options.json)


if __name__ == "__main__":
    main()
