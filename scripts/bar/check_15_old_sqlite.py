"""Check 15 of the bar: `python -m scripts.bar.check_15_old_sqlite`.

With a SQLite older than 3.51.3 (without its backports) a checkpoint that meets a writer can damage a file. So no
connection of comanda's checkpoints there, the start of a worker says what is left to do, `info` and `doctor` show it,
and a connection of the application's that would checkpoint is warned about. With a newer one nothing is said. The
version is faked: `sqlite3.sqlite_version` is all that comanda goes by.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import warnings
from pathlib import Path
from unittest.mock import patch

from comanda import Comanda
from comanda.brokers.sqlite import SQLiteBroker

from .report import Report, comanda

OLD = ("3.40.1", "3.44.5", "3.50.6", "3.51.2")
NEW = ("3.44.6", "3.50.7", "3.51.3", "3.54.0")
REMEDY = "or PRAGMA wal_autocheckpoint = 0 on each"

APP = """
import sqlite3
sqlite3.sqlite_version = {version!r}
from comanda import Comanda
app = Comanda("sqlite:///{version}.db")

@app.task(timeout=30)
def add(left: int, right: int) -> int:
    return left + right
"""


def connections(report: Report, directory: Path) -> None:
    """Look at comanda's own connections."""
    for version in (*OLD, *NEW):
        broker = SQLiteBroker(directory / "connections.db")
        with patch.object(sqlite3, "sqlite_version", version):
            broker.open()
            found = {side.open(0).execute("PRAGMA wal_autocheckpoint")[0][0] for side in broker._store.sides}
            broker.close()
        report.see((found == {0}) == (version in OLD), f"SQLite {version}: wal_autocheckpoint is {found}")


def commands(report: Report, directory: Path) -> None:
    """Look at what the worker, `info` and `doctor` say."""
    for version, told in ((OLD[0], True), (NEW[-1], False)):
        name = f"sqlite_{version.replace('.', '_')}"
        (directory / f"{name}.py").write_text(APP.format(version=version))
        code, lines = comanda(directory, "worker", f"{name}:app", "--burst")
        warned = any("WARNING" in line and version in line and REMEDY in line for line in lines.splitlines())
        report.see((code, warned) == (0, told), f"SQLite {version}: the worker's start {_says(warned)}")
        _, shown = comanda(directory, "info", "--app", f"{name}:app", "--json")
        says = REMEDY in shown
        report.see(says == told, f"SQLite {version}: comanda info {_says(says)}")
        _, found = comanda(directory, "doctor", "--app", f"{name}:app")
        says = any(line.startswith("hint") and "library" in line and version in line for line in found.splitlines())
        report.see(says == told and (REMEDY in found) == told, f"SQLite {version}: comanda doctor {_says(says)}")


def foreign_connections(report: Report, directory: Path) -> None:
    """Look at what is said of connections that the application hands in."""
    path = directory / "shared.db"
    with patch.object(sqlite3, "sqlite_version", OLD[0]):
        app = Comanda(f"sqlite:///{path}")
        task = app.task(name="note")(_note)
        task.enqueue()
        for pages, told in ((0, False), (1_000, True)):
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
            with warnings.catch_warnings(record=True) as heard, connection:
                warnings.simplefilter("always")
                connection.execute("CREATE TABLE IF NOT EXISTS orders (number INTEGER)")
                task.using(connection=connection).enqueue()
            connection.close()
            says = any(REMEDY in str(warning.message) for warning in heard)
            report.see(says == told, f"an application's connection with wal_autocheckpoint = {pages} {_says(says)}")
        app.close()


def _note() -> None: ...


def _says(warned: bool) -> str:
    return "says what to do" if warned else "says nothing"


def main() -> int:
    """Print what was seen; return the exit code."""
    os.environ.pop("LOG_LEVEL", None)
    report = Report("check 15: a SQLite older than 3.51.3 never checkpoints, and its users are told")
    with tempfile.TemporaryDirectory() as directory:
        connections(report, Path(directory))
        commands(report, Path(directory))
        foreign_connections(report, Path(directory))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
