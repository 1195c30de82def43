"""What `endurance.py` does inside namespaces of its own: one case, with the lab as a user starts it.

As process 1 of a pid namespace it sees every process that the lab started, and takes the remains of those whose parent
is gone; temporary folders lie on file systems that nobody else sees. So whatever is there after the lab is left over.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.postgres.server.cache_place import cache_folder

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(sys.executable).with_name("lab")
MIB = 1 << 20
END_SECONDS = 40.0
"""How long a lab may take to end after it was struck; what is promised is measured, this only bounds the bench."""
LEFT_SECONDS = 5.0
START_SECONDS = 5.0
APPEAR_SECONDS = 60.0

LAST = ("--no-remedies", "--executions", "1000000")
HUNTS = {
    "frozen": ("endured:Queue", *LAST),
    "workers": ("endured:Queue", "--workers", "2", "--scheduler", "random", *LAST),
    "busy": ("endured:Busy", "--workers", "2", "--scheduler", "random", *LAST),
    "ahead": ("endured:Queue", "--workers", "2", *LAST),
    "crash": ("endured:Crash", *LAST),
    "remedies": ("endured:Lost", "--executions", "1000000"),
    "keep-going": ("endured:Lost", "--keep-going", *LAST),
}


@dataclasses.dataclass
class End:
    """How one case ended."""

    case: str
    status: int | None = None
    seconds: float = 0.0
    """From the strike to the end of the lab."""
    left: list[str] = dataclasses.field(default_factory=list)
    """What was there five seconds after the next start, or after the end where there was none."""
    left_before: list[str] = dataclasses.field(default_factory=list)
    """What was there five seconds after the end and before the next start."""
    start_seconds: float = 0.0
    objections: list[str] = dataclasses.field(default_factory=list)
    shown: bool = False
    """Whether a failure that was found was reported."""
    said: str = ""
    detail: str = ""


class Lab:
    """A lab that runs, seen from outside."""

    def __init__(self, *arguments: str, environment: dict[str, str] | None = None, **options) -> None:
        self.out = Path("/tmp/out")
        with self.out.open("w") as out, Path("/tmp/err").open("w") as err:
            self.process = subprocess.Popen(
                [PROGRAM, *arguments],
                cwd=ROOT / "bench" / "endured",
                env=surroundings() if environment is None else environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                **options,
            )

    def ended(self, seconds: float) -> int | None:
        """The exit status, None if it did not end in time; then it is killed."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            return None

    @property
    def said(self) -> str:
        return Path("/tmp/err").read_text(errors="replace") + self.out.read_text(errors="replace")


def surroundings(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV") if name in os.environ}
    return {**kept, "HOME": "/root", **more}


# ---------------------------------------------------------------------- what there is


def processes() -> dict[int, str]:
    """Every process but this one, and the remains of none."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    found = {}
    for pid in map(int, filter(str.isdigit, (each.name for each in Path("/proc").iterdir()))):
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            if pid != os.getpid() and state != "Z":
                found[pid] = words
    return found


def find(words: str, of: int | None = None) -> list[int]:
    """Processes by words of their command line, youngest first."""
    return sorted((pid for pid, line in processes().items() if words in line and pid != of), reverse=True)


def postmasters() -> list[int]:
    return find("bin/postgres -D")


def keepers() -> list[int]:
    return find("lab/postgres/server/keeper.py")


def backends() -> list[int]:
    return [pid for pid in find("postgres: ") if "concurrency_lab_" in processes().get(pid, "")]


def left_over(folders: tuple[str, ...] = ("/dev/shm", "/tmp")) -> list[str]:
    """Processes, folders and shared memory."""
    ours = {"out", "err", "full"}
    files = [str(each) for base in folders for each in Path(base).iterdir() if each.name not in ours]
    files = [each for each in files if not Path(each).name.startswith("concurrency-lab-")]  # a cache
    segments = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return [f"{pid} {line[:100]}" for pid, line in processes().items()] + files + segments


def within(seconds: float, condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def searching() -> bool:
    return len(backends()) >= 2


# ---------------------------------------------------------------------- the rounds of a case


def finish(lab: Lab, end: End, *, allowed: tuple[int | None, ...], struck: float, next_start: bool = True) -> End:
    """Judge how a lab ended, what it left, and how the next one starts."""
    end.status = lab.ended(END_SECONDS)
    end.seconds = round(time.monotonic() - struck, 3)
    end.shown = SHOWN in lab.said
    end.said = " | ".join(lab.said.strip().splitlines()[-2:])[-300:]
    if end.status not in allowed:
        end.objections.append(f"exit status {end.status}, expected one of {allowed}")
    for word in ("Traceback", "never retrieved"):
        if word in lab.said:
            end.objections.append(f"it shows: {word}")
            end.said = lab.said[-3000:]
    within(LEFT_SECONDS, lambda: not left_over())
    end.left_before = left_over()
    if next_start:
        before = time.monotonic()
        doctor = Lab("doctor")
        status = doctor.ended(END_SECONDS)
        end.start_seconds = round(time.monotonic() - before, 3)
        if status != 0 or (end.start_seconds > START_SECONDS and end.start_seconds > 1.5 * another_start()):
            end.objections.append(f"next start: status {status} after {end.start_seconds} s: {doctor.said[-200:]}")
    within(LEFT_SECONDS, lambda: not left_over())
    end.left = left_over()
    if end.left:
        end.objections.append("left over")
    return end


def another_start() -> float:
    """What a start takes on this machine now, where nothing went before."""
    before = time.monotonic()
    Lab("doctor").ended(END_SECONDS)
    return time.monotonic() - before


def kill(hunt: str, after: float, chance: random.Random) -> End:
    """SIGKILL at a moment, counted from the beginning where `after` is negative, else from the search."""
    lab = Lab("hunt", *HUNTS[hunt])
    if after >= 0:
        within(APPEAR_SECONDS, searching)
    time.sleep(abs(after))
    lab.process.kill()
    return finish(lab, End("kill", detail=f"{hunt} {after:+.2f}"), allowed=(-9, 0, 1), struck=time.monotonic())


def keeper_first(hunt: str, after: float, chance: random.Random) -> End:
    """SIGKILL of the keeper, and then of the lab."""
    lab = Lab("hunt", *HUNTS[hunt])
    within(APPEAR_SECONDS, lambda: keepers() and (after < 0 or searching()))
    time.sleep(abs(after))
    for pid in keepers():
        os.kill(pid, signal.SIGKILL)
    time.sleep(chance.choice((0, 0, 0.01, 0.3)))
    lab.process.kill()
    end = End("keeper-first", detail=f"{hunt} {after:+.2f}")
    return finish(lab, end, allowed=(-9, 0, 1, 3), struck=time.monotonic())


def keeper_only(hunt: str, after: float, chance: random.Random) -> End:
    """SIGKILL of the keeper alone: the server ends, and the lab reports that."""
    lab = Lab("hunt", *HUNTS[hunt])
    within(APPEAR_SECONDS, searching)
    time.sleep(abs(after))
    for pid in keepers():
        os.kill(pid, signal.SIGKILL)
    return finish(lab, End("keeper-only", detail=hunt), allowed=(0, 1, 3), struck=time.monotonic())


def server_killed(hunt: str, after: float, chance: random.Random) -> End:
    """SIGKILL of the postmaster or of a backend."""
    lab = Lab("hunt", *HUNTS[hunt])
    within(APPEAR_SECONDS, searching)
    time.sleep(abs(after))
    of = chance.choice(("postmaster", "backend"))
    victims = postmasters() if of == "postmaster" else backends()
    for pid in victims[:1]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = End("server-killed", detail=f"{hunt} {of} {after:+.2f}")
    if hunt == "crash":  # the lab crashes that server all the time, so the strike may pass unnoticed
        time.sleep(1)
        lab.process.send_signal(signal.SIGINT)
    return finish(lab, end, allowed=(1, 3, -2) if hunt == "crash" else (1, 3), struck=time.monotonic())


def server_stopped(hunt: str, after: float, chance: random.Random) -> End:
    """SIGSTOP of all of the server for five seconds; the hunt goes on as if nothing had happened."""
    lab = Lab("hunt", "endured:Queue", "--no-remedies", "--executions", "60")
    within(APPEAR_SECONDS, searching)
    time.sleep(min(abs(after), 0.3))
    stopped = [pid for pid in [*postmasters(), *find("postgres: ")] if pid in processes()]
    frozen = {pid for pid in stopped if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"}
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in stopped:
            if pid not in frozen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        if number == signal.SIGSTOP:
            time.sleep(5)
    return finish(lab, End("server-stopped"), allowed=(0,), struck=time.monotonic())


SHOWN = "Replay   lab replay lab1:"
"""In the report of a failure."""


def signalled(number: int, times: int, phase: str, chance: random.Random) -> End:
    """SIGTERM, SIGHUP or SIGINT once or twice in a phase of a hunt."""
    hunt = {"remedies": "remedies", "keep-going": "keep-going", "workers": "workers"}.get(phase, "frozen")
    lab = Lab("hunt", *HUNTS[hunt])
    if phase == "import":
        time.sleep(chance.uniform(0.02, 0.5))
    elif phase == "server":
        within(APPEAR_SECONDS, keepers)
        time.sleep(chance.uniform(0, 0.1))
    elif phase == "remedies":
        within(APPEAR_SECONDS, lambda: SHOWN in lab.said or lab.process.poll() is not None)
        time.sleep(chance.uniform(0, 0.5))
    else:
        within(APPEAR_SECONDS, searching)
        time.sleep(chance.uniform(0.2, 2) + (2 if phase == "keep-going" else 0))
    struck = time.monotonic()
    for _ in range(times):
        lab.process.send_signal(number)
        time.sleep(chance.uniform(0, 0.2))
    end = End("signalled", detail=f"{signal.Signals(number).name} {times} {phase}")
    # twice, or while Python itself starts, a signal may end the process as it ends any other
    plain = (-number, 128 + number) if times > 1 or phase == "import" else ()
    end = finish(lab, end, allowed=(1, 3, *plain), struck=struck)
    if phase in ("remedies", "keep-going") and times == 1 and not end.shown:
        end.objections.append("what was found is not shown")
    return end


def disk_full(when: str) -> End:
    """A file system without room for a server's data, at the start or in mid-hunt."""
    mount("/dev/shm", 30 * MIB if when == "start" else 120 * MIB)
    lab = Lab("hunt", *HUNTS["frozen"], environment=surroundings(TMPDIR="/dev/shm"))
    if when == "middle":
        within(APPEAR_SECONDS, searching)
        time.sleep(0.5)
        with contextlib.suppress(OSError), Path("/dev/shm/full").open("wb") as file:
            while True:
                file.write(bytes(MIB))
    struck = time.monotonic()
    if when == "middle":
        lab.process.poll() is None and within(20, lambda: lab.process.poll() is not None)
    end = End("disk-full", detail=when)
    end.status = lab.ended(END_SECONDS)
    Path("/dev/shm/full").unlink(missing_ok=True)
    return finish(lab, end, allowed=(3,), struck=struck)


def limited(what: str) -> End:
    """Few descriptors, little address space, few processes."""
    kind, most = {
        "64 descriptors": (resource.RLIMIT_NOFILE, 64),
        "16 descriptors": (resource.RLIMIT_NOFILE, 16),
        "1 GB of addresses": (resource.RLIMIT_AS, 1 << 30),
        "200 MB of addresses": (resource.RLIMIT_AS, 200 * MIB),
        "12 processes": (resource.RLIMIT_NPROC, 12),
        "3 processes": (resource.RLIMIT_NPROC, 3),
    }[what]
    options = {}
    if kind == resource.RLIMIT_NPROC:  # root has no such limit
        options = {"user": 54321, "group": 54321, "extra_groups": []}
        try:
            subprocess.run([PROGRAM, "--version"], check=True, stdout=subprocess.DEVNULL, cwd="/", **options)
        except (OSError, subprocess.SubprocessError):
            return End("limited", detail=f"{what}: not run, since another user than root cannot read {PROGRAM}")
        Path("/tmp/home").mkdir()
        os.chown("/tmp/home", 54321, 54321)
    environment = surroundings(HOME="/tmp/home" if options else "/root")
    lab = Lab(
        "hunt",
        "endured:Queue",
        "--no-remedies",
        "--executions",
        "5",
        environment=environment,
        preexec_fn=lambda: resource.setrlimit(kind, (most, most)),
        **options,
    )
    struck = time.monotonic()
    end = End("limited", detail=what)
    end.status = lab.ended(END_SECONDS)
    shutil.rmtree("/tmp/home", ignore_errors=True)
    return finish(lab, end, allowed=(0, 3), struck=struck)


def placed(where: str) -> End:
    """Homes and temporary folders of odd kinds."""
    base = Path("/tmp/placed")
    base.mkdir()
    base.chmod(0o755)
    environment = surroundings()
    if where == "no HOME":
        del environment["HOME"]
    elif where == "unwritable HOME":
        environment["HOME"] = environment["XDG_CACHE_HOME"] = "/proc/1"
    elif where == "TMPDIR of 150 characters":
        environment["TMPDIR"] = str(base / ("x" * (150 - len(str(base)) - 1)))
    elif where == "TMPDIR with spaces":
        environment["TMPDIR"] = str(base / "a b, c")
    elif where == "TMPDIR that is missing":
        environment["TMPDIR"] = str(base / "missing")
    if "TMPDIR" in environment and "missing" not in where:
        Path(environment["TMPDIR"]).mkdir()
    lab = Lab("hunt", "endured:Queue", "--no-remedies", "--executions", "5", environment=environment)
    end = End("placed", detail=where)
    struck = time.monotonic()
    end.status = lab.ended(END_SECONDS)
    end.detail += "; in it: " + ", ".join(sorted(str(each.relative_to(base)) for each in base.rglob("*/*")))
    shutil.rmtree(base)
    return finish(lab, end, allowed=(0,), struck=struck)


def cache_of(version: str = "template-18") -> Path:
    return next(each for each in cache_folder().glob(f"{version}-*") if each.is_dir())


def cache_truncated(place: int, of: int) -> End:
    """The template's files, one after the other, cut at some place."""
    files = sorted(each for each in cache_of().rglob("*") if each.is_file() and each.stat().st_size)
    files += [each for each in [cache_of().with_name(f"{cache_of().name}.list")] if each.exists()]
    victim = files[place * (len(files) - 1) // max(1, of - 1)]
    kept = victim.stat().st_size * (place % 3) // 3
    os.truncate(victim, kept)
    lab = Lab("hunt", "endured:Queue", "--no-remedies", "--executions", "5")
    end = End("cache-truncated", detail=f"{victim.name} at {kept}")
    return finish(lab, end, allowed=(0,), struck=time.monotonic())


def first_starts(number: int) -> End:
    """Several first starts at once, with an empty cache."""
    for each in cache_folder().iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    struck = time.monotonic()
    labs = [subprocess.Popen([PROGRAM, "doctor"], stdout=subprocess.DEVNULL, cwd="/") for _ in range(number)]
    states = [each.wait(END_SECONDS) for each in labs]
    end = finish(Lab("doctor"), End("first-starts", detail=f"{number} at once"), allowed=(0,), struck=struck)
    drafts = [each.name for each in Path("/var/cache/concurrency-lab").iterdir() if "draft" in each.name]
    if any(states) or drafts:
        end.objections.append(f"states {states}, drafts {drafts}")
    return end


GROWING = """
import asyncio, sys, time
from pathlib import Path
from lab.explore import Explorer
from lab.postgres.server.embedded import embedded_server
from lab.scenario.registry import instance_of
from lab.search.hunt import Hunt
said = 0
def progress(result):
    global said
    if result.executions >= said:
        said = result.executions + {every}
        print(result.executions, time.monotonic(), flush=True)
        sys.stdin.readline()
async def main():
    with embedded_server() as server:
        explorer = Explorer(server)
        hunt = Hunt.of(instance_of("endured:Pair"), progress, scheduler="random", executions={executions})
        result = await hunt.run(explorer)
        print(result.executions, time.monotonic(), flush=True)
        sys.stdin.readline()
        await explorer.aclose()
sys.path.insert(0, ".")
asyncio.run(main())
"""


def growth(executions: int, every: int) -> dict[str, object]:
    """Memory, files, descriptors and speed over many executions on a file system of 100 MB."""
    mount("/tmp", 100 * MIB)
    process = subprocess.Popen(
        [sys.executable, "-c", GROWING.format(executions=executions, every=every)],
        cwd=ROOT / "bench" / "endured",
        env=surroundings(TMPDIR="/tmp"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    samples = []
    last: tuple[int, float] | None = None
    for line in process.stdout:
        done, moment = int(line.split()[0]), float(line.split()[1])
        sample = {"executions": done, **measured(process.pid)}
        if last and done > last[0]:
            sample["per_second"] = round((done - last[0]) / (moment - last[1]), 2)
        samples.append(sample)
        process.stdin.write("\n")
        process.stdin.flush()
        last = done, time.monotonic()
    status = process.wait()
    return {"status": status, "samples": samples, "left": left_over()}


def measured(pid: int) -> dict[str, float]:
    server = [each for each in processes() if "postgres" in processes().get(each, "")]
    files = [name for _, _, names in os.walk("/tmp") for name in names]
    room = os.statvfs("/tmp")
    return {
        "lab_mib": round(resident(pid), 2),
        "server_mib": round(sum(map(private, server)), 2),
        "files": len(files),
        "disk_mib": round((room.f_blocks - room.f_bfree) * room.f_frsize / MIB, 2),
        "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
    }


def resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / MIB


def private(pid: int) -> float:
    """Without shared memory, which every backend counts as its own."""
    try:
        fields = [int(each) for each in Path(f"/proc/{pid}/statm").read_text().split()]
    except OSError:
        return 0.0
    return (fields[1] - fields[2]) * resource.getpagesize() / MIB


def mount(place: str, size: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=1777", "none", place], check=True)


@contextlib.contextmanager
def own_places(cache: str | None) -> Iterator[None]:
    """File systems of this case's own; nothing needs to be unmounted, since the namespace goes."""
    mount("/dev/shm", 2048 * MIB)
    mount("/tmp", 512 * MIB)
    place = Path("/var/cache/concurrency-lab")
    place.mkdir(exist_ok=True)
    if cache is not None:
        mount(str(place), 256 * MIB)
        place.chmod(0o755)
        subprocess.run(["cp", "-a", f"{cache}/.", str(place)], check=True)
    yield


def main(order: dict[str, object]) -> object:
    chance = random.Random(order["seed"])
    name, arguments = str(order["name"]), dict(order["arguments"])
    with own_places(order["cache"]):
        if name in ("kill", "keeper_first", "keeper_only", "server_killed", "server_stopped", "signalled"):
            arguments["chance"] = chance
        done = globals()[name](**arguments)
        return dataclasses.asdict(done) if isinstance(done, End) else done


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    answer = main(json.loads(sys.argv[1]))
    print(json.dumps(answer), flush=True)
    os._exit(0)
