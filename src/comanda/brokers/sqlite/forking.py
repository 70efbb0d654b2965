"""A fork between opening a SQLite file and using it.

SQLite remembers in memory which locks its process holds. A fork copies that memory, while the locks stay with the
parent: a child that opens the same file again believes it holds them. When the parent closes, the next process that
closes the file is therefore the last one, deletes the write-ahead log under the child, and what the child commits
afterwards vanishes (reproduced on 3.40 and 3.54). So comanda's own connections are closed before every fork and
reopened by need on both sides; in a child that inherited somebody else's, the file is refused.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from ...errors import ConfigurationError
from . import library

if TYPE_CHECKING:
    from .store import Store

_stores: WeakSet[Store] = WeakSet()
_forking = threading.local()
_is_child = False

_LOCKS = Path("/proc/locks")


def guard(store: Store) -> None:
    """Close this store's connections before every fork from now on."""
    _stores.add(store)


def may_be_inherited(key: tuple[int, int]) -> bool:
    """Return whether this is a forked process in which the file is open already, before comanda opens it."""
    return _is_child and library.is_open_here(key)


def check_locks(path: Path, key: tuple[int, int]) -> None:
    """Raise ConfigurationError when SQLite, having just opened `path`, holds no lock on it (Linux: /proc/locks)."""
    try:
        table = _LOCKS.read_text()
    except OSError:
        return
    for line in table.splitlines():
        fields = line.split()  # 1: POSIX ADVISORY READ pid device:inode start end; one that waits has -> in between
        if fields[4] == str(os.getpid()) and fields[5].endswith(f":{key[1]}"):
            return
    raise ConfigurationError(
        f"this process was forked while {path} was open, and SQLite's locks do not pass a fork: jobs written here "
        "could vanish. Close the database before forking (engine.dispose()), or spawn processes instead"
    )


def _before_fork() -> None:
    _forking.sides = []
    for store in list(_stores):
        for side in store.sides:
            if side.lock.acquire(timeout=store.deadline):
                _forking.sides.append(side)
                if not side.busy:  # a transaction of this thread goes on; the child refuses the file
                    side.close()
    library.lock.acquire()


def _after_in_parent() -> None:
    library.lock.release()
    for side in _forking.sides:
        side.lock.release()
    _forking.sides = []


def _after_in_child() -> None:
    global _is_child  # noqa: PLW0603 - a fact about the process
    _is_child = True
    library.lock.release()
    _forking.sides = []
    for store in list(_stores):
        store.forget()


os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
