"""Whether the lab ends clearly and leaves nothing, whatever happens to it; and whether it grows over many executions.

Each case runs in namespaces of its own (processes, file systems, shared memory), which needs root on Linux. For each:
how the lab ended, how long that took, what was left five seconds later, and how long the next start took.

    python bench/endurance.py --json
    python bench/endurance.py --only kill,growth --kills 20 --executions 2000
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _common import show

INSIDE = Path(__file__).with_name("_endurance.py")
NAMESPACES = ("unshare", "-p", "-m", "-i", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
PHASES = ("import", "server", "search", "remedies", "keep-going", "workers")
SIGNALS = (15, 1, 2)
LIMITS = (
    "64 descriptors",
    "16 descriptors",
    "1 GB of addresses",
    "200 MB of addresses",
    "12 processes",
    "3 processes",
)
PLACES = (
    "no HOME",
    "unwritable HOME",
    "TMPDIR of 150 characters",
    "TMPDIR with spaces",
    "TMPDIR that is missing",
)
KILLED = ("frozen", "workers", "ahead", "busy", "crash", "remedies", "keep-going")
LONGEST_CASE = 240
WARM_UP = 2000
"""Executions after which nothing may grow any more."""

Case = tuple[str, dict[str, object]]


def cases(options: argparse.Namespace) -> Iterator[Case]:
    chance = random.Random(options.seed)

    def moment() -> float:
        """Seconds: half of them from the start of the program on (negative), half from the search on."""
        return chance.choice((-chance.uniform(0.1, 3), chance.uniform(0, 3)))

    def struck(name: str, number: int, kinds: tuple[str, ...], share: float = 1.0) -> Iterator[Case]:
        for index in range(number):
            yield name, {"hunt": kinds[index % len(kinds)], "after": share * moment()}

    yield from struck("kill", options.kills, KILLED)
    yield from struck("keeper_first", options.keeper_kills, ("frozen", "workers", "crash", "remedies"), 0.3)
    yield from struck("keeper_only", options.keeper_kills // 5, ("frozen", "workers", "remedies"), 0.3)
    yield from struck("server_killed", options.server_kills, ("frozen", "workers", "remedies", "crash"), 0.5)
    yield from struck("server_stopped", options.stops, ("frozen",))
    for number, times, phase in list(itertools.product(SIGNALS, (1, 2), PHASES)) * options.signal_rounds:
        yield "signalled", {"number": number, "times": times, "phase": phase}
    yield from (("disk_full", {"when": when}) for when in ("start", "middle"))
    yield from (("limited", {"what": what}) for what in LIMITS)
    yield from (("placed", {"where": where}) for where in PLACES)
    for place in range(options.truncations):
        yield "cache_truncated", {"place": place, "of": options.truncations}
    yield "first_starts", {"number": 6}


def hindrance() -> str:
    """Why nothing can be done here; "" where it can."""
    if not sys.platform.startswith("linux"):
        return "needs the namespaces of Linux"
    if os.geteuid() != 0:
        return "needs root, for namespaces and file systems of its own"
    if shutil.which("unshare") is None:
        return "needs the program unshare"
    if INSIDE.is_relative_to("/tmp") or INSIDE.is_relative_to("/dev/shm"):
        return "the clone lies in /tmp or /dev/shm, which each case replaces by a file system of its own"
    probe = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True, check=False)
    return probe.stderr.strip()


def inside(name: str, arguments: dict[str, object], seed: int, cache: str | None, longest: float) -> dict[str, object]:
    """One case in namespaces of its own."""
    order = {"name": name, "arguments": arguments, "seed": seed, "cache": cache}
    command = [*NAMESPACES, sys.executable, str(INSIDE), json.dumps(order)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=longest)
        return json.loads(out)
    except (subprocess.TimeoutExpired, ValueError):
        process.kill()
        words = (process.communicate()[1] if process.returncode is None else err).strip().splitlines()
        said = words[-1] if words else "no answer"
        return {"case": name, "detail": str(arguments), "objections": [f"the case itself failed: {said}"]}


def cached() -> str:
    """A folder with a cache that every case gets a copy of."""
    folder = tempfile.mkdtemp(prefix="endurance-", dir="/var/tmp")
    Path(folder).chmod(0o755)
    script = "mount --bind {} /var/cache/concurrency-lab && exec {} doctor".format(
        folder, Path(sys.executable).with_name("lab")
    )
    Path("/var/cache/concurrency-lab").mkdir(exist_ok=True)
    subprocess.run([*NAMESPACES, "sh", "-c", script], check=True, stdout=subprocess.DEVNULL)
    return folder


def judged(growth: dict[str, object]) -> dict[str, object]:
    """How much each figure grew between the end of the warm-up and the end, as a ratio."""
    samples = [each for each in growth["samples"] if "per_second" in each]
    warm = min(WARM_UP, samples[-1]["executions"] // 4) if samples else 0
    later = [each for each in samples if each["executions"] > warm]
    if len(later) < 4:
        return {**growth, "ratios": {}, "objections": ["too few samples"]}
    part = max(1, len(later) // 4)
    ratios = {
        key: round(mean(later[-part:], key) / max(mean(later[:part], key), 1e-9), 3)
        for key in ("lab_mib", "server_mib", "files", "disk_mib", "descriptors", "per_second")
    }
    wrong = [key for key, ratio in ratios.items() if (ratio < 0.9 if key == "per_second" else ratio > 1.1)]
    return {**growth, "ratios": ratios, "objections": wrong}


def mean(samples: list[dict[str, float]], key: str) -> float:
    return sum(each[key] for each in samples) / len(samples)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--keeper-kills", type=int, default=50)
    parser.add_argument("--server-kills", type=int, default=100)
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--signal-rounds", type=int, default=1, help="of 36 cases each")
    parser.add_argument("--truncations", type=int, default=20)
    parser.add_argument("--executions", type=int, default=20_000, help="of the growth run; 0 for none")
    parser.add_argument("--every", type=int, default=250, help="executions between two samples of the growth run")
    parser.add_argument("--only", default="", help="names of cases, with commas between")
    parser.add_argument("--jobs", type=int, default=1, help="cases at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    only = set(filter(None, options.only.split(",")))
    todo = [each for each in cases(options) if not only or each[0] in only]
    if reason := hindrance():
        skipped = sorted({name for name, _ in todo} | {"growth"})
        show("endurance", ("not run", "why"), [(", ".join(skipped), reason)], {"not_run": skipped, "why": reason},
             as_json=options.json)  # fmt: skip
        return 3
    cache = cached()
    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            ends = list(pool.map(lambda each: noted(inside(*each[1], each[0], cache, LONGEST_CASE)), enumerate(todo)))
        growth = {}
        if options.executions and (not only or "growth" in only):
            arguments = {"executions": options.executions, "every": options.every}
            growth = judged(inside("growth", arguments, options.seed, cache, 24 * 3600.0))
    finally:
        shutil.rmtree(cache)
    names = list(dict.fromkeys(each["case"] for each in ends))
    counts = {name: summary([each for each in ends if each["case"] == name]) for name in names}
    wrong = [each for each in ends if each["objections"]]
    not_run = [each["detail"] for each in ends if "not run" in each["detail"]]
    result = {"counts": counts, "wrong": wrong, "not_run": not_run, "growth": growth}
    rows = [(name, *figures.values()) for name, figures in counts.items()]
    if growth:
        rows.append(("growth", options.executions, len(growth["objections"]), str(growth.get("ratios")), "", ""))
    columns = ("case", "runs", "not as promised", "slowest end (s)", "slowest next start (s)", "left")
    show("endurance", columns, rows, result, as_json=options.json)
    return 1 if wrong or growth.get("objections") else 0


def noted(end: dict[str, object]) -> dict[str, object]:
    """Say on standard error what went wrong, as soon as it did."""
    if end["objections"]:
        print(json.dumps(end), file=sys.stderr, flush=True)
    return end


def summary(ends: list[dict[str, object]]) -> dict[str, object]:
    return {
        "runs": len(ends),
        "not_as_promised": sum(bool(each["objections"]) for each in ends),
        "slowest_end": max((each.get("seconds", 0) for each in ends), default=0),
        "slowest_start": max((each.get("start_seconds", 0) for each in ends), default=0),
        "left": sum(len(each.get("left", ())) for each in ends),
    }


if __name__ == "__main__":
    sys.exit(main())
