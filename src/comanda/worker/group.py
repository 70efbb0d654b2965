"""A worker beside a web application: one supervisor process per host and app, however many processes ask for it.

An flock in the store's runtime directory decides who starts it. The others stand by: when the process that holds the
lock ends, the kernel lets go of it, and one of them takes over.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import logging
import os
import random
import subprocess
import threading
import time
import weakref
from pathlib import Path

from . import channel, messages, spawning
from .backoff import Backoff
from .handle import EmbeddedWorker
from .places import SETTLED

STAND_BY = 2.0
"""Seconds between two looks whether the lock is free."""

PATIENCE = 60.0
"""Seconds that a supervisor gets to stop when nobody says how many."""

_log = logging.getLogger("comanda.worker")


class Group(EmbeddedWorker):
    """Does `work` in processes of their own while this one lives, unless another process of this host does already."""

    def __init__(self, directory: Path, work: messages.Work) -> None:
        digest = hashlib.sha256(work.app.encode()).hexdigest()[:16]
        self._path = directory / f"group-{digest}.lock"
        self._work = work
        self._lock = -1
        self._guard = threading.Lock()
        self._over = threading.Event()
        self._control: channel.Channel | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff = Backoff(0.5, 30.0)
        self._thread = threading.Thread(target=self._serve, name="comanda-embedded", daemon=True)
        _groups.add(self)
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Stop the supervisor, if this process runs it: gracefully within `timeout` s, then by force."""
        atexit.unregister(self.stop)
        with self._guard:
            self._over.set()
            control, process = self._control, self._process
        if control is not None:
            control.close()
        self._thread.join(PATIENCE if timeout is None else timeout)
        if self._thread.is_alive() and process is not None:
            _log.error(
                "the worker did not stop in time; its supervisor is killed, and its children finish by themselves"
            )
            process.kill()
            self._thread.join()

    def _serve(self) -> None:
        while not self._over.is_set():
            if self._has_lock():
                self._over.wait(self._run_supervisor())
            else:
                self._over.wait(STAND_BY * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, no secret
        self._forget()

    def _has_lock(self) -> bool:
        if self._lock == -1:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._lock = descriptor
        return True

    def _run_supervisor(self) -> float:
        """Run one until it ends; return how many seconds to wait before the next one."""
        with self._guard:
            if self._over.is_set():
                return 0.0
            self._control, theirs = channel.pair()
            self._process = spawning.spawn("comanda.worker.supervisor", theirs, user_code=False)
        self._control.send(self._work)
        began = time.monotonic()
        status = self._process.wait()
        self._control.close()
        if time.monotonic() - began >= SETTLED:
            self._backoff.reset()
        pause = self._backoff.next()
        if not self._over.is_set():
            _log.error(
                "the supervisor of the embedded worker ended (status %d); the next starts in %.1f s", status, pause
            )
        return pause

    def _forget(self) -> None:
        """Let go of the lock; in a forked child of its copy, which would outlive this process."""
        lock, self._lock = self._lock, -1
        if lock != -1:
            with contextlib.suppress(OSError):
                os.close(lock)


_groups: weakref.WeakSet[Group] = weakref.WeakSet()


def _after_fork() -> None:
    for group in list(_groups):
        group._forget()


os.register_at_fork(after_in_child=_after_fork)
