"""Signs of life that outlive a crash: one small file for each owner, in the store's runtime directory.

The process that works for an owner keeps the file flock'ed and writes into its shared page what it is executing. Both
go on by themselves when the process is killed: the kernel drops the lock, the page stays. So whoever finds a free lock
on the same host hands that owner's jobs back at once and charges only those that had started (R51), without waiting
for the lease.

The page holds two words of eight bytes for each execution slot. The first half are row ids of jobs (0: idle), the
second half the moments of their time limits in microseconds of the monotonic clock (0: none), which the processes of a
host share.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import weakref
from collections.abc import Collection, Iterator
from pathlib import Path

_SLOT = 16
"""Bytes of one slot."""

_PREFIX = "owner-"


class Presence:
    """The sign of life of one owner, held by the process that works for it.

    `page[slot]` is the row id, `page[slots + slot]` the time limit. Without a directory (a broker within one process)
    nothing outlives the process, and the page is plain memory.
    """

    def __init__(self, directory: Path | None, owner: int, slots: int) -> None:
        self._path: Path | None = None
        self._lock = -1
        if directory is None:
            self.page = memoryview(bytearray(slots * _SLOT)).cast("q")
            return
        made = directory / f".{_PREFIX}{owner}"
        self._lock = os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.truncate(self._lock, slots * _SLOT)
        self.page = _map(made)
        # It appears under its name with the lock held: nobody can take a young file for a dead worker's.
        self._path = made.rename(directory / f"{_PREFIX}{owner}")
        _held.add(self)

    def clear(self, but: Collection[int] = ()) -> None:
        """Mark everything as not started, except the row ids in `but`: nobody is to be charged for an orderly end."""
        for slot in range(len(self.page) // 2):
            if self.page[slot] not in but:
                self.page[slot] = 0

    def close(self) -> None:
        """Remove the sign: this owner holds nothing any more."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None
            self.forget()

    def forget(self) -> None:
        """Let go of the lock's descriptor; in a forked child, so that it cannot keep a dead parent's lock alive."""
        lock, self._lock = self._lock, -1
        if lock != -1:
            os.close(lock)


_held: weakref.WeakSet[Presence] = weakref.WeakSet()


def _after_fork() -> None:
    for presence in _held:
        presence.forget()


os.register_at_fork(after_in_child=_after_fork)


def departed(directory: Path, but: Collection[int] = ()) -> Iterator[tuple[int, set[int]]]:
    """Yield each owner of this host whose process is gone, with the row ids it was executing; leave out those in `but`.

    The caller hands the owner's jobs back before it asks for the next one; then the file is removed. Only one process
    at a time gets to see an owner. If handing back raises, the file stays for the next look.
    """
    for path in sorted(directory.glob(f"{_PREFIX}*")):
        if _owner(path) in but:
            continue
        with contextlib.suppress(FileNotFoundError), _locked(path) as free:
            if free:
                yield _owner(path), _started(path)
                path.unlink(missing_ok=True)


def started_of(directory: Path | None, owner: int) -> set[int] | None:
    """Return the row ids that `owner` is executing or was when it died; None when this host knows nothing of it."""
    if directory is None:
        return None
    try:
        return _started(directory / f"{_PREFIX}{owner}")
    except FileNotFoundError:
        return None


def overdue(directory: Path | None, owner: int, moment: int) -> set[int]:
    """Return the row ids that `owner` is executing although their time limit passed before `moment` (monotonic µs)."""
    if directory is None:
        return set()
    try:
        jobs, limits = _halves(directory / f"{_PREFIX}{owner}")
    except FileNotFoundError:
        return set()
    return {job for job, limit in zip(jobs, limits, strict=True) if job and 0 < limit < moment}


def remove(directory: Path | None, owner: int) -> None:
    """Remove the sign of an owner whose jobs have been handed back."""
    if directory is not None:
        (directory / f"{_PREFIX}{owner}").unlink(missing_ok=True)


def _map(path: Path) -> memoryview:
    """Map the file through a descriptor of its own: a mapping keeps its file open, and with it the file's flock."""
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 0)).cast("q")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Try to lock a file; tell whether it was free."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Somebody else may have handed this owner back between our open and our lock.
        free = os.fstat(descriptor).st_nlink > 0
    except BlockingIOError:
        free = False
    try:
        yield free
    finally:
        os.close(descriptor)


def _owner(path: Path) -> int:
    return int(path.name.removeprefix(_PREFIX))


def _started(path: Path) -> set[int]:
    return set(_halves(path)[0]) - {0}


def _halves(path: Path) -> tuple[list[int], list[int]]:
    words = memoryview(path.read_bytes()).cast("q").tolist()
    return words[: len(words) // 2], words[len(words) // 2 :]
