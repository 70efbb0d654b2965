"""How much an enqueue in the caller's transaction costs it: `python -m benchmarks.transactions`.

32 connections (4 processes of 8 threads) run short transactions that write one row of the application's and then either
enqueue a job or, for comparison, insert one more indexed row of the same size. Rounds of both kinds alternate on one
server; printed are commits a second and their ratio. Needs a PostgreSQL server, see `servers.py`.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from benchmarks.servers import fresh_postgres
from comanda import Comanda
from comanda.ids import new_id
from comanda.task import SyncTask

PROCESSES, THREADS = 4, 8

WARM_UP = 12
"""Transactions on a connection before it is measured: psycopg prepares a statement when it comes the sixth time, and
the server plans it five times more."""

_ROOT = Path(__file__).resolve().parents[1]

PAYLOAD = "x" * 90
"""Makes about 100 bytes of arguments, as the other benchmarks have."""


def client(url: str, kind: str, transactions: int) -> None:
    """Be one process: say that all connections are open, wait for a line, run, leave."""
    app = Comanda(url)
    task = app.task(name="note")(_note)
    barrier = threading.Barrier(THREADS + 1)

    def work() -> None:
        with psycopg.connect(url) as connection:
            for _ in range(WARM_UP):
                _transaction(connection, task, kind)
            barrier.wait()
            barrier.wait()
            for _ in range(transactions):
                _transaction(connection, task, kind)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    barrier.wait()
    print("ready", flush=True)
    sys.stdin.readline()
    barrier.wait()
    for thread in threads:
        thread.join()
    print("done", flush=True)
    app.close()


def _note(payload: str) -> None: ...


def _transaction(connection: psycopg.Connection[Any], task: SyncTask[[str], None], kind: str) -> None:
    connection.execute("INSERT INTO orders (item) VALUES ('tea')")
    if kind == "job":
        task.using(connection=connection).enqueue(PAYLOAD)
    else:
        connection.execute("INSERT INTO plain VALUES (%s, %s)", (new_id().hex(), PAYLOAD.encode()))
    connection.commit()


def commits(url: str, kind: str, transactions: int) -> float:
    """Return the commits a second of one round, of so many transactions on each connection."""
    command = [sys.executable, "-m", "benchmarks.transactions", url, kind, str(transactions)]
    clients = [
        subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    for process in clients:
        _expect(process, "ready")
    begin = time.perf_counter()
    for process in clients:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in clients:
        _expect(process, "done")
    seconds = time.perf_counter() - begin
    for process in clients:
        process.communicate()
    return PROCESSES * THREADS * transactions / seconds


def _expect(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == word


def measure(rounds: int, transactions: int) -> dict[str, float]:
    """Return the medians of `rounds` rounds: commits a second with a row and with a job, and the ratio of each pair."""
    rows, jobs = [], []
    with fresh_postgres() as url:
        app = Comanda(url)
        app.broker.open()
        app.close()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE orders (id bigserial PRIMARY KEY, item text)")
            connection.execute("CREATE TABLE plain (id uuid PRIMARY KEY, payload bytea)")
        for _ in range(rounds):
            rows.append(commits(url, "row", transactions))
            jobs.append(commits(url, "job", transactions))
    ratios = [job / row for job, row in zip(jobs, rows, strict=True)]
    return {"row": median(rows), "job": median(jobs), "ratio": median(ratios)}


if __name__ == "__main__":
    if len(sys.argv) == 4:
        client(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    else:
        print(", ".join(f"{name} {figure:.2f}" for name, figure in measure(rounds=5, transactions=100).items()))
