"""A child as its supervisor sees it, and the place it fills."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from ..brokers.records import Outcome
from . import channel, messages, spawning
from .backoff import Backoff

SETTLED = 30.0
"""Seconds of life after which a child's end counts as the first again."""

LONGEST_AT_WORK = 2.0
"""Seconds that a place stays empty at most after a child that had begun to work. A job that kills its child does so
three times (guarantee 5) and must not hold up the others for 30 s each; those pauses are for apps that cannot start."""


class ChildProcess:
    """A running child: its process, the channel to it, and what it has said so far."""

    def __init__(self, work: messages.Work) -> None:
        self.channel, theirs = channel.pair()
        self.process: subprocess.Popen[bytes] = spawning.spawn("comanda.worker.child", theirs, user_code=True)
        self.channel.send(work)
        self.pid = self.process.pid
        self.pidfd = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None
        self.started = time.monotonic()
        self.ready: messages.Ready | None = None
        self.refused: messages.Refused | None = None
        self.overrun: Outcome | None = None
        self.overdue: set[int] = set()
        self.leaving = False
        self.draining = False
        self.kill_at = float("inf")

    @property
    def owner(self) -> int | None:
        """Its owner id, None before it is ready."""
        return None if self.ready is None else self.ready.owner

    def stop(self, grace: float, margin: float) -> None:
        """Tell it to finish within `grace` seconds; it is killed `margin` seconds later."""
        self.kill_at = min(self.kill_at, time.monotonic() + grace + margin)
        self.channel.send(messages.Stop(grace))

    def kill(self) -> None:
        """End it by force."""
        self.kill_at = float("inf")
        self.process.kill()

    def is_dead(self) -> bool:
        """Return whether the process has ended."""
        return self.process.poll() is not None

    def close(self) -> None:
        """Let go of the descriptors of a dead child."""
        self.channel.close()
        if self.pidfd is not None:
            os.close(self.pidfd)

    def how_it_ended(self) -> str:
        """Return the words for the end of the process."""
        status = self.process.returncode
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"


class Place:
    """One of the children that a worker shall have: when it ends the next one starts, at once and then ever later."""

    def __init__(self) -> None:
        self.child: ChildProcess | None = None
        self.due = 0.0
        """When the next child starts, on the monotonic clock."""
        self.done = False
        """True once nothing is to be started here any more."""
        self._ends = 0
        self._backoff = Backoff(0.5, 30.0)

    def vacate(self, *, at_once: bool = False) -> float:
        """Note that the child has ended; return in how many seconds the next one starts."""
        if self.child is not None and time.monotonic() - self.child.started >= SETTLED:
            self._ends = 0
            self._backoff.reset()
        pause = 0.0 if at_once or not self._ends else self._backoff.next()
        if self.child is not None and self.child.ready is not None:
            pause = min(pause, LONGEST_AT_WORK)
        self._ends += not at_once
        self.child = None
        self.due = time.monotonic() + pause
        return pause
