"""Copies of the whole file through SQLite's online backup API, never of its bytes.

The bytes of an open database are not a database: a part of it lies in its log. And opening them outside of SQLite would
drop its locks (R43). A copy is read in one read transaction, beside which others write; it is written back in one write
transaction, so that a crash leaves the old contents or the new ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ...errors import BrokerError, ConfigurationError
from . import filesystem, library, schema
from .connection import Connection, code_of, plain, retry_while_busy, translate
from .counts import catch_up
from .enqueue import LAST
from .session import Session
from .side import Side
from .store import Store, create_private

_LAST_OWNER = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{ns}_workers'), 0)"
# SQLite notes a table here with its first row.
_NOTE_OWNERS = """
INSERT INTO sqlite_sequence (name, seq)
SELECT '{ns}_workers', 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = '{ns}_workers')
"""
_RAISE_OWNERS = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = '{ns}_workers'"
_RAISE_JOBS = "UPDATE {ns}_counts SET jobs = max(jobs, ?) WHERE queue = 0 AND state = 0"


class Numbers(NamedTuple):
    """The highest numbers given to an owner and to a job."""

    owner: int
    job: int


def write(store: Store, target: Path) -> None:
    """Write a checked copy of the store to the new file `target`, which appears under that name when it is whole."""
    with _new_file(target) as part, _opened(store, read_only=True) as source:
        _copy(source, part, store.library)


def put_back(store: Store, source: Path, prepare: Callable[[Path, Numbers], None]) -> None:
    """Write the copy `source`, changed by `prepare` beforehand, over all that is in the store.

    `prepare` gets the copy's path and the store's last numbers, which must not be given again.

    Raises ConfigurationError for a file that is no sound copy of this namespace, BrokerTimeout when another process
    has the store open: it might remember what is no longer true, such as the numbers of tasks and queues.
    """
    filesystem.check(store.path)
    with TemporaryDirectory(prefix=f"{store.path.name}-restore-", dir=store.path.parent) as place:
        prepared = Path(place) / store.path.name
        _take_over(store, source, prepared)
        prepare(prepared, _last_numbers(store))
        create_private(store.path)
        with _opened(store, read_only=False) as target, _errors(store.path, store.deadline):
            _take_for_itself(target, store)
            with _of_library(prepared, store.library) as made:
                made.copy_to(target)


def _take_over(store: Store, source: Path, prepared: Path) -> None:
    """Copy a backup to where it can be prepared; raise ConfigurationError when it is none."""
    if not source.is_file():
        raise ConfigurationError(f"there is no file {source}")
    if store.path.exists() and source.samefile(store.path):
        raise ConfigurationError(f"{source} is the store itself")
    create_private(prepared)
    try:
        with _of_library(source, store.library) as found:
            found.execute("PRAGMA query_only = 1")
            versions = schema.versions(found, store.namespace)
            schema.pending(versions, store.namespace)
            _copy(found, prepared, store.library)
    except (BrokerError, OSError) as error:
        raise ConfigurationError(f"{source} cannot be restored: {error}") from error
    if not versions[0]:
        raise ConfigurationError(f"{source} holds no store of the namespace {store.namespace!r}: nothing was changed")


@contextmanager
def _new_file(target: Path) -> Iterator[Path]:
    """Yield a path for what shall appear as `target`, which is reserved meanwhile and gone again after an error."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise ConfigurationError(f"{target} exists already: give the backup a name of its own") from None
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror}") from None
    try:
        with TemporaryDirectory(prefix=f"{target.name}-", dir=target.parent) as place:
            part = Path(place) / target.name
            create_private(part)
            yield part
            part.replace(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


@contextmanager
def _opened(store: Store, *, read_only: bool) -> Iterator[Connection]:
    """Yield a connection to the store beside those in use."""
    side = Side(store.path, store.library, store.deadline, read_only=read_only)
    with _errors(store.path, store.deadline):
        connection = side.open(0)
    try:
        yield connection
    finally:
        side.close()


@contextmanager
def _of_library(path: Path, library_name: str) -> Iterator[Connection]:
    """Yield a connection to another file than the store's, without any setting."""
    key = library.acquire(path, library_name)
    try:
        connection = plain(path, library_name)
        try:
            with _errors(path, 0):
                yield connection
        finally:
            connection.close()
    finally:
        library.release(key)


def _copy(source: Connection, target: Path, library_name: str) -> None:
    """Write all that `source` sees into the empty file `target`, on the disk and as one file; check it."""
    with _of_library(target, library_name) as copy:
        copy.execute("PRAGMA fullfsync = 1")
        source.copy_to(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # the log's mark comes with the pages: without it, one file is all
        damage = copy.execute("PRAGMA integrity_check(1)")
    if damage != [("ok",)]:
        raise ConfigurationError(f"the copy is damaged, and so is what it was made from: {damage[0][0]}")


def _last_numbers(store: Store) -> Numbers:
    """Return the highest owner and job numbers that the store has given; zeros when it cannot say."""
    if not store.path.exists():
        return Numbers(0, 0)
    try:
        with _opened(store, read_only=True) as connection, _errors(store.path, store.deadline):
            if not schema.versions(connection, store.namespace)[0]:
                return Numbers(0, 0)
            return Numbers(*(connection.execute(store.text(query))[0][0] for query in (_LAST_OWNER, f"SELECT {LAST}")))
    except BrokerError:  # damaged: the more reason to restore
        return Numbers(0, 0)


def never_give_again(session: Session, given: Numbers) -> None:
    """Let owner and job numbers go on behind those given, so that no leftover of theirs can mean a newer one (SQ11)."""
    catch_up(session)
    session.run(_NOTE_OWNERS)
    session.run(_RAISE_OWNERS, (given.owner,))
    session.run(_RAISE_JOBS, (given.job,))


def _take_for_itself(target: Connection, store: Store) -> None:
    """Lock the file for this connection until it closes. Every connection in WAL mode keeps a shared lock on it."""
    retry_while_busy(lambda: target.execute("PRAGMA journal_mode = DELETE"), store.deadline)
    target.execute("PRAGMA locking_mode = EXCLUSIVE")
    retry_while_busy(lambda: target.execute("BEGIN EXCLUSIVE"), store.deadline)
    target.execute("COMMIT")


@contextmanager
def _errors(path: Path, deadline: float) -> Iterator[None]:
    """Give the library's errors comanda's names."""
    try:
        yield
    except Exception as error:
        if code_of(error) is None:
            raise
        raise translate(error, path, deadline) from error


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
