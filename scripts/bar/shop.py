"""The application that the checks of the bar give to a worker: `comanda worker scripts.bar.shop:app`."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

import psycopg

from comanda import Comanda, Retry
from comanda.task import SyncTask

TABLES = """
CREATE TABLE orders (number integer PRIMARY KEY); CREATE TABLE runs (number integer); CREATE TABLE markers (name text);
"""
"""What the tasks read and write, in the database SHOP_DATABASE."""


def noop(n: int) -> int:
    """Return the argument."""
    return n


def find_order(number: int) -> bool:
    """Note this run, and return whether the application's row is there, on a connection of this task's own."""
    with _connect() as connection:
        connection.execute("INSERT INTO runs VALUES (%s)", (number,))
        return bool(connection.execute("SELECT FROM orders WHERE number = %s", (number,)).fetchall())


def fail_once(marker: str) -> int:
    """Fail at the first attempt with this marker; return how many there have been."""
    with _connect() as connection:
        connection.execute("INSERT INTO markers VALUES (%s)", (marker,))
        ((attempts,),) = connection.execute("SELECT count(*) FROM markers WHERE name = %s", (marker,)).fetchall()
    if attempts < 2:
        raise LookupError(marker)
    return int(attempts)


def run_on() -> None:
    """Run until somebody ends it."""
    while True:
        time.sleep(0.02)


def _connect() -> psycopg.Connection[tuple[int]]:
    return psycopg.connect(os.environ["SHOP_DATABASE"], prepare_threshold=None, autocommit=True)


class Shop(NamedTuple):
    """An app and its tasks."""

    app: Comanda
    noop: SyncTask[[int], int]
    find_order: SyncTask[[int], bool]
    fail_once: SyncTask[[str], int]
    run_on: SyncTask[[], None]


def declare(url: str | None = None) -> Shop:
    """Return the app on the store `url` (default: COMANDA_URL)."""
    made = Comanda(url)
    retrying = made.task(retry=Retry(max_attempts=3, backoff=0))(fail_once)
    return Shop(made, made.task(noop), made.task(find_order), retrying, made.task(queue="long")(run_on))


app = declare().app
