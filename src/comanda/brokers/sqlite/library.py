"""Which SQLite library serves a file, and what its version allows (design section 6, R40, R43)."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ...errors import ConfigurationError

STANDARD = "sqlite3"
APSW = "apsw"

_OLDEST = (3, 37, 0)
_DESCRIPTORS = Path("/dev/fd")

lock = threading.RLock()
"""Taken while connections are noted, and while the process forks."""

_prepared: set[Path] = set()
"""Databases that the application opens in this process with connections that never checkpoint."""

_in_use: dict[tuple[int, int], tuple[str, int]] = {}
"""(device, inode) of a database to the library that has it open in this process, and how often."""


def version(name: str) -> tuple[int, int, int]:
    """Return the version of the SQLite inside a library."""
    if name == STANDARD:
        text = sqlite3.sqlite_version
    else:
        import apsw

        text = apsw.sqlite_lib_version()
    major, minor, patch = (int(part) for part in text.split(".")[:3])
    return major, minor, patch


def has_wal_reset_race(found: tuple[int, int, int]) -> bool:
    """Return whether a checkpoint that meets a writer can corrupt the file (fixed in 3.51.3, 3.50.7, 3.44.6)."""
    return not (found >= (3, 51, 3) or (3, 50, 7) <= found < (3, 51, 0) or (3, 44, 6) <= found < (3, 45, 0))


def must_not_checkpoint(name: str) -> bool:
    """Return whether connections of this library have to leave checkpoints to `apsw` in another process."""
    return has_wal_reset_race(version(name))


def note_prepared(path: Path) -> None:
    """Note that the application's own connections to `path` leave checkpoints to comanda, as `advice` asks for."""
    _prepared.add(path.absolute())


def danger(name: str) -> str:
    """Return what is wrong with a library that must not checkpoint, and what comanda does about it."""
    return (
        f"SQLite {'.'.join(map(str, version(name)))} through {name} can damage a database when a checkpoint meets a "
        "writer (mended in 3.51.3); comanda's connections never checkpoint, the worker's supervisor does, through apsw"
    )


def remedy(path: Path) -> str:
    """Return what is left for an application to do about that danger."""
    return (
        f"keep the application's own connections to {path} from it as well: comanda.sqlalchemy.prepare(engine), "
        "comanda.django in INSTALLED_APPS, or PRAGMA wal_autocheckpoint = 0 on each; for a file of the queue alone, "
        "sqlite+apsw:///… is free of it"
    )


def advice(name: str, path: Path) -> str | None:
    """Return danger and remedy as one sentence; None when there is nothing to do about `path`."""
    if not must_not_checkpoint(name) or path.absolute() in _prepared:
        return None
    return f"{danger(name)}; {remedy(path)}"


def check_version(name: str) -> None:
    """Raise ConfigurationError when the library is older than the SQL comanda writes."""
    found = version(name)
    if found < _OLDEST:
        raise ConfigurationError(
            f"SQLite {'.'.join(map(str, found))} is too old, comanda needs 3.37 or newer: "
            "use sqlite+apsw:///… , which brings its own, with a file for the queue alone"
        )


def acquire(path: Path, name: str) -> tuple[int, int]:
    """Note that this process opens `path` with library `name`; return the key for `release`.

    Two copies of the SQLite library in one process cancel each other's locks on a file, and committed rows vanish
    (R43). Raises ConfigurationError when the other library has the file open already.
    """
    with lock:
        status = path.stat()
        key = (status.st_dev, status.st_ino)
        holder, count = _in_use.get(key, (name, 0))
        if holder != name:
            raise ConfigurationError(_refusal(path, holder, name))
        if name == APSW:
            if not count and is_open_here(key):
                raise ConfigurationError(_refusal(path, "another library (or a fork's parent)", APSW))
            _install_hook()
        _in_use[key] = (name, count + 1)
        return key


def release(key: tuple[int, int]) -> None:
    """Note that one connection noted by `acquire` was closed."""
    with lock:
        name, count = _in_use[key]
        if count > 1:
            _in_use[key] = (name, count - 1)
        else:
            del _in_use[key]


def is_open_here(key: tuple[int, int]) -> bool:
    """Return whether this process has a descriptor on the file `key`, whoever opened it."""
    if not _DESCRIPTORS.is_dir():
        return False
    for descriptor in _DESCRIPTORS.iterdir():
        try:
            status = descriptor.stat()
        except OSError:
            continue
        if (status.st_dev, status.st_ino) == key:
            return True
    return False


def forget_all() -> None:
    """After a fork, in the child: nothing inherited may be used, so nothing is open."""
    _in_use.clear()


def _refusal(path: Path, holder: str, wanted: str) -> str:
    return (
        f"{path} is open in this process through {holder} and must not be opened through {wanted} as well: two SQLite "
        "libraries in one process cancel each other's locks on a file, and committed rows vanish. Either use "
        f"sqlite:///{path} everywhere (shared with SQLAlchemy, Django, sqlite3), or give the queue a file of its own "
        "with sqlite+apsw:///… and reach it through app.transaction()"
    )


@cache
def _install_hook() -> None:
    sys.addaudithook(_refuse_standard)  # for good: an audit hook cannot be removed


def _refuse_standard(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse `sqlite3.connect` to a file that apsw has open in this process."""
    if event != "sqlite3.connect" or not _in_use:
        return
    try:
        path = _path_of(os.fsdecode(arguments[0]))
        status = path.stat()
    except (TypeError, OSError, ValueError):  # no file yet, or not a name
        return
    if _in_use.get((status.st_dev, status.st_ino), ("", 0))[0] == APSW:
        raise ConfigurationError(_refusal(path, APSW, STANDARD))


def _path_of(target: str) -> Path:
    """Return the file that `sqlite3.connect` means: a path, or a URI such as file:///a%20b.db?mode=ro."""
    if not target.startswith("file:"):
        return Path(target)
    name = unquote(target.removeprefix("file:").partition("?")[0])
    return Path(name.removeprefix("//localhost") if name.startswith("//localhost/") else name)
