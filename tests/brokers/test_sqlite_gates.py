"""What SQLite and the file system have to be before comanda writes a job to a file (reliability guide 1.3)."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from comanda.brokers.sqlite import SQLiteBroker, connection, filesystem, library
from comanda.errors import BrokerUnavailable, ConfigurationError
from comanda.testing.conformance.case import enqueue_one
from tests.brokers.sqlite_files import LIBRARIES, connect, open_sqlite


@pytest.mark.parametrize(
    ("version", "has_race"),
    [
        *[((3, 40, 1), True), ((3, 44, 5), True), ((3, 44, 6), False), ((3, 44, 9), False), ((3, 45, 0), True)],
        *[((3, 50, 6), True), ((3, 50, 7), False), ((3, 51, 0), True), ((3, 51, 2), True), ((3, 51, 3), False)],
        *[((3, 52, 0), False), ((4, 0, 0), False)],
    ],
)
def test_the_versions_with_the_wal_reset_race_are_known(version: tuple[int, int, int], has_race: bool) -> None:
    assert library.has_wal_reset_race(version) is has_race


def test_a_library_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "version", lambda _name: (3, 36, 0))
    with pytest.raises(ConfigurationError, match=r"SQLite 3\.36\.0 is too old, comanda needs 3\.37.*sqlite\+apsw"):
        SQLiteBroker(tmp_path / "jobs.db").open()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "9p", "virtiofs", "fuse.sshfs", "fuseblk"])
def test_a_file_system_without_shared_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(filesystem, "type_of", lambda _directory: kind)
    with pytest.raises(ConfigurationError, match=f"lies on a {kind} file system.*local disk"):
        SQLiteBroker(tmp_path / "jobs.db").open()
    assert list(tmp_path.iterdir()) == []


def test_the_file_system_is_that_of_the_innermost_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:26 / /srv rw - nfs4 host:/srv rw\n"
        "31 30 8:2 / /srv/fast rw shared:2 master:1 - xfs /dev/sdb rw\n"
        "32 30 0:27 / /srv/a\\040b rw - 9p share rw\n"
        "33 22 0:28 / /srv/fast rw - btrfs /dev/sdc rw\n"
    )
    monkeypatch.setattr(filesystem, "_MOUNTS", table)
    kinds = [filesystem.type_of(Path(name)) for name in ("/home", "/srv", "/srv/fast/x", "/srv/a b/c", "/srv/faster")]
    assert kinds == ["ext4", "nfs4", "btrfs", "9p", "nfs4"]
    monkeypatch.setattr(filesystem, "_MOUNTS", tmp_path / "missing")
    assert filesystem.type_of(Path("/home")) == ""


def test_a_directory_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigurationError, match=f"anybody could replace the queue: chmod o-w {tmp_path}"):
        SQLiteBroker(tmp_path / "jobs.db").open()
    tmp_path.chmod(0o1777)
    open_sqlite(tmp_path / "jobs.db").close()


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_files_are_readable_for_their_owner_alone(tmp_path: Path, name: str) -> None:
    previous = os.umask(0o022)
    try:
        broker = open_sqlite(tmp_path / "jobs.db", name)
        enqueue_one(broker)
        broker.wait_for_change(0)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        broker.close()
    finally:
        os.umask(previous)
    assert modes == {"jobs.db": 0o600, "jobs.db-wal": 0o600, "jobs.db-shm": 0o600, "jobs.db-comanda": 0o700}


def test_the_mode_of_a_file_that_exists_is_its_owners_affair(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.touch(mode=0o640)
    path.chmod(0o640)
    open_sqlite(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("name", LIBRARIES)
def test_every_setting_holds_on_both_connections(tmp_path: Path, name: str) -> None:
    broker = open_sqlite(tmp_path / "jobs.db", name)
    broker.counts()
    for side, read_only in zip(broker._store.sides, (0, 1), strict=True):
        assert side.connection is not None
        found = {
            pragma: side.connection.execute(f"PRAGMA {pragma}")[0][0]
            for pragma in ("journal_mode", "synchronous", "mmap_size", "query_only", "fullfsync", "trusted_schema")
        }
        wanted = {"journal_mode": "wal", "synchronous": 2, "mmap_size": 0, "fullfsync": 1, "trusted_schema": 0}
        assert found == {**wanted, "query_only": read_only}
    broker.close()


def test_a_setting_that_does_not_hold_is_an_error() -> None:
    class Stubborn:
        raw: Any = None

        def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
            return [("wal",)] if "journal_mode" in sql else [(1,)]

    with pytest.raises(BrokerUnavailable, match="did not take PRAGMA synchronous = 2: it says 1"):
        connection._configure(Stubborn(), False, 1.0, False)  # type: ignore[arg-type]


@pytest.mark.parametrize(("first", "second"), [("sqlite3", "apsw"), ("apsw", "sqlite3")])
def test_two_libraries_on_one_file_are_refused(tmp_path: Path, first: str, second: str) -> None:
    """R43: they cancel each other's locks, and committed rows vanish."""
    path = tmp_path / "jobs.db"
    holder, late = open_sqlite(path, first), SQLiteBroker(path, library_name=second)
    with pytest.raises(ConfigurationError, match=f"open in this process through {first}"):
        late.open()
    enqueue_one(holder)
    holder.close()
    late.open()
    assert sum(late.counts().values()) == 1
    late.close()


def test_two_libraries_may_serve_two_files(tmp_path: Path) -> None:
    brokers = [open_sqlite(tmp_path / f"{name}.db", name) for name in LIBRARIES]
    for broker in brokers:
        enqueue_one(broker)
        broker.close()


def test_the_standard_library_is_refused_on_a_file_that_apsw_has_open(tmp_path: Path) -> None:
    path = tmp_path / "jobs 1.db"
    alias = tmp_path / "alias.db"
    broker = open_sqlite(path, "apsw")
    alias.symlink_to(path)
    sqlite3.connect(":memory:").close()
    sqlite3.connect(tmp_path / "other.db").close()
    quoted = str(path).replace(" ", "%20")
    for target in (path, str(path), bytes(path), alias, os.path.relpath(path)):
        with pytest.raises(ConfigurationError, match="open in this process through apsw"):
            sqlite3.connect(target)
    for target in (f"file:{quoted}?mode=ro", f"file://{quoted}", f"file://localhost{quoted}"):
        with pytest.raises(ConfigurationError, match="open in this process through apsw"):
            sqlite3.connect(target, uri=True)
    broker.close()
    sqlite3.connect(path).close()


def test_apsw_is_refused_on_a_file_that_the_standard_library_has_open(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    own = connect(path, "sqlite3")
    own.execute("CREATE TABLE logs (entry)")
    with pytest.raises(ConfigurationError, match="open in this process through another library"):
        open_sqlite(path, "apsw")
    broker = open_sqlite(path, "sqlite3")
    enqueue_one(broker)
    broker.close()
    own.close()
    open_sqlite(path, "apsw").close()


def test_apsw_beside_apsw_is_fine(tmp_path: Path) -> None:
    broker = open_sqlite(tmp_path / "jobs.db", "apsw")
    own = apsw.Connection(str(broker.path))
    enqueue_one(broker)
    assert own.execute("SELECT count(*) FROM comanda_jobs").fetchall() == [(1,)]
    own.close()
    broker.close()
