"""Tasks that behave badly: they hang, hold the interpreter, die, fork; and quick ones beside them."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

from comanda import Comanda, Retry, current_job
from tests.e2e import gate
from tests.e2e.evidence import write_line

app = Comanda()

ONCE = Retry(max_attempts=1)
LIMIT = 0.5

with Path("imported.log").open("a") as log:
    log.write(f"{os.getpid()}\n")


@app.task
def quick(number: int) -> int:
    """Do nothing much."""
    return number


@app.task
def wait() -> int:
    """Wait at the gate; return the attempt's number."""
    gate.wait()
    return current_job().attempt


@app.task
def obey() -> None:
    """Tell the test, then compute until somebody says stop."""
    gate.wait()
    while True:
        sum(range(100))


@app.task(timeout=LIMIT, retry=Retry(max_attempts=2, backoff=0))
def deaf() -> int:
    """Hang in a system call at the first attempt, whatever is raised."""
    if current_job().attempt == 1:
        gate.wait()
    return current_job().attempt


@app.task
def hold(seconds: float) -> int:
    """Hold the interpreter's lock: nothing else in this process moves."""
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))
    return current_job().attempt


@app.task(timeout=LIMIT)
def hold_on() -> int:
    """Hold the interpreter's lock beyond the time limit at the first attempt."""
    if current_job().attempt == 1:
        ctypes.PyDLL(None).usleep(60_000_000)
    return current_job().attempt


@app.task(isolate=True, timeout=60, retry=ONCE)
def apart() -> int:
    """Return the process this runs in."""
    return os.getpid()


@app.task(isolate=True, timeout=60, retry=ONCE)
async def apart_async() -> int:
    """The same as a coroutine."""
    return os.getpid()


@app.task(isolate=True, timeout=LIMIT, retry=ONCE)
def apart_deaf() -> None:
    """Hang in a process of its own, whatever is raised."""
    gate.wait()


@app.task(isolate=True, timeout=LIMIT, retry=ONCE)
def apart_endless() -> None:
    """Compute for ever in a process of its own, and clean up."""
    try:
        while True:
            sum(range(100))
    finally:
        Path("cleaned").touch()


@app.task(isolate=True, retry=ONCE)
def apart_waiting() -> None:
    """Wait at the gate in a process of its own."""
    gate.wait()


@app.task(isolate=True, retry=ONCE)
def apart_dying(status: int) -> None:
    """End a process of its own."""
    if status < 0:
        os.kill(os.getpid(), signal.Signals(-status))
    os._exit(status)


@app.task
def fork() -> int:
    """Fork, and let both return."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    return pid


@app.task
def descriptors() -> list[str]:
    """Return what this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except OSError:  # the listing itself
            continue
    return found


@app.task(retry=ONCE)
def cook(number: int) -> int:
    """Work for a moment: write a line to the disk, then a byte into the pipe that the test reads."""
    write_line(Path("cooked.log"), current_job().id, sync=True)
    pipe = os.open("progress", os.O_WRONLY)
    try:
        os.write(pipe, b"!")
    finally:
        os.close(pipe)
    return number
