"""The application that the checks of the bar give to a worker: `comanda worker scripts.bar.shop:app`, by COMANDA_URL."""

from __future__ import annotations

import os
import sqlite3

import psycopg

from comanda import Comanda, current_job

app = Comanda()


@app.task
def noop(n: int) -> int:
    """Return its argument."""
    return n


@app.task(queue="long", timeout=120)
def until_cancelled() -> None:
    """Run until somebody cancels it."""
    while True:
        current_job().check_cancelled()


@app.task
def find_order(number: int) -> bool:
    """Return whether the application's row is there, read on a connection of this task's own."""
    address = os.environ["SHOP_DATABASE"]
    if address.startswith("postgresql:"):
        with psycopg.connect(address, prepare_threshold=None) as connection:
            found = connection.execute("SELECT FROM orders WHERE number = %s", (number,)).fetchall()
    else:
        found = sqlite3.connect(address).execute("SELECT 1 FROM orders WHERE number = ?", (number,)).fetchall()
    return bool(found)
