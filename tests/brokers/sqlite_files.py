"""What the tests of the SQLite broker share."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import apsw

from comanda.brokers.sqlite import SQLiteBroker
from comanda.testing import FakeClock

LIBRARIES = ("sqlite3", "apsw")


def open_sqlite(path: Path, library: str = "sqlite3", *, deadline: float = 5.0) -> SQLiteBroker:
    """Return an open broker on `path` under a fake clock."""
    broker = SQLiteBroker(path, library_name=library, clock=FakeClock(), deadline=deadline)
    broker.open()
    return broker


def connect(path: Path, library: str) -> sqlite3.Connection | apsw.Connection:
    """Return somebody else's connection through the same library."""
    if library == "apsw":
        return apsw.Connection(str(path))
    return sqlite3.connect(path, isolation_level=None, timeout=0)


def elsewhere(code: str, *arguments: object) -> str:
    """Run Python code in another process and return what it printed."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def in_child(act: Callable[[], str], meanwhile: Callable[[], None] = lambda: None) -> str:
    """Run a function in a forked child, another one in the parent; return the child's answer or its error."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads: the case here
        child = os.fork()
    if not child:
        try:
            answer = act()
        except BaseException as error:  # noqa: BLE001 - told to the parent, whose test judges it
            answer = f"{type(error).__name__}: {error}"
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    meanwhile()
    with os.fdopen(reader, encoding="utf-8") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer
