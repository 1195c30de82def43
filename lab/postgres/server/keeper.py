"""The keeper: a small process that outlives the lab by a moment and leaves nothing behind.

It starts the server, and waits on a named pipe that every process using the server holds open for writing. When the
last of them is gone, however it went, the pipe ends: the keeper wakes frozen backends, stops the server at once and
removes the folder. It runs alone, from the standard library only, in a session of its own, so that neither Ctrl-C nor
SIGKILL to the lab's process group reaches it.

Called with one argument, a JSON object: `command` (the server's command line), `folder` (removed at the end), `pipe`,
`data`, `template` (what `data` begins as), `user` and `group` (ids to run the server under, or null), and, if there are
any, `environment` (variables for the server alone). It prints one line: `ready PID WORD`, with the first word of the
server's own line, or `failed REASON`. Each `crash` that is written to the pipe stops the server as a crash does,
without a checkpoint, starts it again on the same data, and prints such a line again.
"""

import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
from typing import IO, Any

READY = "database system is ready to accept connections"
CRASH = b"crash\n"
STOP_SECONDS = 10.0
"""How long an immediate shutdown may take; it takes milliseconds unless a process is stuck in the kernel."""
PR_SET_PDEATHSIG = 1
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def main(order: dict[str, Any]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pipe = os.open(order["pipe"], os.O_RDONLY | os.O_NONBLOCK)  # or it would wait for ever for a lab that was killed
    os.set_blocking(pipe, True)
    copy(order)
    log = open(os.path.join(order["folder"], "server.log"), "w")
    server = ready(order, log)
    while True:
        while commands := os.read(pipe, 4096):
            for _ in range(commands.count(CRASH)):
                stop(server, order["data"])
                server = ready(order, log)
        if abandoned(pipe, order["pipe"]):
            break
    stop(server, order["data"])
    shutil.rmtree(order["folder"], ignore_errors=True)


def abandoned(pipe: int, path: str) -> bool:
    """Whether nobody came in the moment between the end of the pipe and now, when its name is taken away."""
    pathlib.Path(path).unlink(missing_ok=True)  # a process that comes from now on starts its own server
    os.set_blocking(pipe, False)
    try:
        return not os.read(pipe, 4096)
    except BlockingIOError:
        return False
    finally:
        os.set_blocking(pipe, True)


def ready(order: dict[str, Any], log: IO[str]) -> subprocess.Popen[str]:
    """Start the server and say when it is ready, or why it does not come up."""
    server = start(order)
    lines: list[str] = []
    assert server.stderr is not None
    for line in server.stderr:
        note(line, log)
        lines.append(line.strip())
        if READY in line:
            say(f"ready {server.pid} {line.split()[0]}")
            break
    else:
        server.wait()
        say(f"failed {' | '.join(lines[-3:]) or f'exit status {server.returncode}'}")
    threading.Thread(target=drain, args=(server.stderr, log), daemon=True).start()
    return server


def copy(order: dict[str, Any]) -> None:
    """Copy the template's data. It is done here, so that a lab killed meanwhile leaves nothing behind either."""
    subprocess.run(
        ["cp", "-R", f"{order['template']}/.", order["data"]],
        user=order["user"],
        group=order["group"],
        extra_groups=None if order["user"] is None else [],
        cwd=order["folder"],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # a copy that failed shows in the server's own words


def start(order: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        order["command"],
        user=order["user"],
        group=order["group"],
        extra_groups=None if order["user"] is None else [],
        cwd=order["folder"],
        env=ENVIRONMENT | order.get("environment", {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=end_with_parent,
    )


def end_with_parent() -> None:
    """On Linux: should the keeper itself be killed, the server gets SIGQUIT and goes as well."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
    except (OSError, AttributeError):
        pass


def say(line: str) -> None:
    try:
        os.write(1, f"{line}\n".encode(errors="backslashreplace"))  # unbuffered: nothing is left to fail at the exit
    except BrokenPipeError:
        pass  # the lab was killed meanwhile; the pipe will say so


def drain(stream: IO[str], log: IO[str]) -> None:
    for line in stream:
        note(line, log)


def note(line: str, log: IO[str]) -> None:
    try:
        log.write(line)
        log.flush()
    except OSError:
        pass  # the disk is full; the server must not wait for a reader of its words


def stop(server: subprocess.Popen[str], data: str) -> None:
    # The server first, so that it starts no process any more; a frozen backend then wakes up to its own end, before it
    # could do anything with a lock that it was granted. Its children are listed while all of them still live: one that
    # it starts after that is frozen by nobody, and goes with it.
    alive = children(server.pid)
    send(server.pid, signal.SIGQUIT)
    send(server.pid, signal.SIGCONT)  # somebody may have stopped it
    for pid in alive:
        send(pid, signal.SIGQUIT)
        send(pid, signal.SIGCONT)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in [*children(server.pid), server.pid]:
            send(pid, signal.SIGKILL)
        server.wait()
    if (segment := orphaned_memory(data)) is not None:
        ctypes.CDLL(None).shmctl(segment, 0, None)  # 0 is IPC_RMID


def orphaned_memory(data: str) -> int | None:
    """Id of the System V segment that stays behind when the server itself was killed; its pid file then stays too."""
    try:
        return int(pathlib.Path(data, "postmaster.pid").read_text().splitlines()[6].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def children(of: int) -> list[int]:
    try:  # on Linux, mostly; to read about every process of a busy machine takes longer than all the rest of a crash
        return [int(pid) for pid in pathlib.Path(f"/proc/{of}/task/{of}/children").read_text().split()]
    except OSError:
        pass
    return [pid for pid, its_parent in processes() if its_parent == of]


def processes() -> list[tuple[int, int]]:
    """(pid, parent) of every process."""
    if os.path.isdir("/proc/self"):
        return [(int(pid), parent(int(pid))) for pid in os.listdir("/proc") if pid.isdigit()]
    listing = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True).stdout
    rows = (line.split() for line in listing.splitlines())
    return [(int(pid), int(its_parent)) for pid, its_parent in rows]


def parent(pid: int) -> int:
    """The parent of a process, 0 if it is gone."""
    if not os.path.isdir("/proc/self"):
        return dict(processes()).get(pid, 0)
    try:
        text = pathlib.Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]))
    except Exception as error:  # noqa: BLE001 - standard error is the user's
        say(f"failed {type(error).__name__}: {error}")
        sys.exit(1)
