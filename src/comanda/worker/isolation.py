"""A job in a process of its own, which can be killed (R25): `@app.task(isolate=True)`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

from ..brokers.records import Outcome
from ..errors import TimedOut
from . import channel
from .attempt import Attempt, Interrupt, now
from .deadlines import Deadlines
from .messages import Begun, Ended, Interrupted, Run
from .slots import Slots
from .spawning import spawn

START_UP = 60.0
"""Seconds that a process may take to load the app, beyond the time limit of its job."""


class Isolation:
    """Runs one attempt in a fresh process. The thread that called `run` waits for it."""

    def __init__(self, attempt: Attempt, app: str, log_level: str, deadlines: Deadlines) -> None:
        self._attempt = attempt
        self._run = Run(app, attempt.job, log_level, tuple(sys.path))
        self._deadlines = deadlines
        self._ours, self._theirs = channel.pair()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, slots: Slots, slot: int) -> Outcome:
        """Return the outcome: what the process says, or why it could not say anything."""
        attempt = self._attempt
        attempt.runner = self
        attempt.deadline = None  # kept here and not in the page: the supervisor need not end a child for it
        try:
            self._process = spawn("comanda.worker.isolated", self._theirs, user_code=True)
            self._ours.send(self._run)
            slots.occupy(slot, attempt)
            self._limit(START_UP)
            ended = self._wait()
            status = self._process.wait()
        except OSError as error:
            return attempt.raised(error, now())
        finally:
            slots.vacate(slot)
            self._ours.close()
        if ended is None:
            return attempt.raised(ChildProcessError(_died(status)), now())
        return Outcome(
            attempt.job, ended.kind, ended.started_at, ended.finished_at, ended.result, ended.failure, ended.delay
        )

    def interrupt(self, attempt: Attempt, kind: Interrupt) -> bool:
        """Ask the process to raise `kind` in the job; it is killed if that does not end it."""
        if attempt.interrupted is not None:
            return False
        attempt.interrupted = kind
        self._ours.send(Interrupted(timeout=kind is TimedOut))
        if not attempt.overran:
            attempt.overran = True
            attempt.deadline = time.monotonic() + self._deadlines.patience
            self._deadlines.watch(attempt.deadline)
        return True

    def kill(self, attempt: Attempt) -> bool:
        """Kill the process and all it started in its session."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        return True

    def _limit(self, more: float) -> None:
        """Let the time limit, if there is one and it has not been told yet, run from now on, plus `more` seconds."""
        attempt = self._attempt
        if attempt.timeout is not None and not attempt.overran:
            attempt.deadline = time.monotonic() + attempt.timeout + more
            self._deadlines.watch(attempt.deadline)

    def _wait(self) -> Ended | None:
        try:
            while True:
                for message in self._ours.receive():
                    if isinstance(message, Begun):
                        self._limit(0.0)
                    elif isinstance(message, Ended):
                        return message
        except EOFError:
            return None


def _died(status: int) -> str:
    if status < 0:
        return f"the process of this job was killed by {signal.Signals(-status).name} before it finished"
    return f"the process of this job ended with exit code {status} before it finished"
