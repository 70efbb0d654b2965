"""What is recorded for the power-loss test: every verb that promises durability, with a word before and after each.

`python -m tests.e2e.apps.recorded FILE` writes to the queue in FILE; the words go to the file `said` beside it, in
one write each, so that a log of system calls shows what had been promised when.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from comanda import Comanda, Job
from comanda.brokers.records import Claimed, Demand, Kind, Outcome, WorkerInfo
from comanda.brokers.sqlite import checkpoint, library
from comanda.ids import new_ids, to_text

TASK = "note"


class Recorded:
    """An app whose promises are written down."""

    def __init__(self, path: Path) -> None:
        self.app = Comanda(f"sqlite:///{path}")
        self.note = self.app.task(name=TASK)(_note)
        self._path = path
        self._said = os.open(path.with_name("said"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(self, word: str, ids: Iterable[str]) -> None:
        """Write a word about jobs down, in one system call."""
        os.write(self._said, " ".join((word, *ids, "\n")).encode())

    def enqueue(self, count: int) -> None:
        """Enqueue one job after the other."""
        for _ in range(count):
            (job_id,) = self._offered(1)
            self.note.using(id=job_id).enqueue(0)
            self.say("accepted", [job_id])

    def enqueue_together(self, enqueue: Callable[[list[str]], object]) -> None:
        """Enqueue three jobs in one transaction."""
        ids = self._offered(3)
        self.say("together", ids)
        enqueue(ids)
        self.say("accepted", ids)

    def many(self, ids: list[str]) -> list[Job[int]]:
        """Enqueue by one call."""
        return self.app.enqueue_many(self.note.using(id=job_id).call(0) for job_id in ids)

    def in_a_transaction(self, ids: list[str]) -> None:
        """Enqueue beside the application's own rows."""
        with self.app.transaction() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY)")
            connection.execute("INSERT INTO orders DEFAULT VALUES")
            for job_id in ids:
                self.note.using(id=job_id, connection=connection).enqueue(0)

    def enqueue_from_threads(self, threads: int) -> None:
        """Enqueue from several threads at once, which commit as a group."""
        running = [threading.Thread(target=self.enqueue, args=(2,)) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    def work(self, jobs: int) -> None:
        """Claim and settle as a worker does: success, a retry at once, and the next batch in the same transaction."""
        broker = self.app.broker
        owner = broker.register(WorkerInfo(host="here", pid=1, version="0", kind="child", tasks=(TASK,)))
        demand = Demand(jobs, frozenset({TASK}))
        claimed = broker.claim(owner, demand)
        for _ in range(2):
            done = [_success(job) for job in claimed]
            claimed = broker.exchange(owner, done, demand).claimed
            self.say("settled", [to_text(outcome.job.id) for outcome in done])
        broker.deregister(owner)

    def checkpoint(self) -> None:
        """Move the log into the database, as the supervisor does: another process, another library."""
        subprocess.run([sys.executable, "-m", __spec__.name, str(self._path), "checkpoint"], check=True)

    def _offered(self, count: int) -> list[str]:
        ids = [to_text(job_id) for job_id in new_ids(count)]
        self.say("offered", ids)
        return ids


def _note(number: int) -> int:
    return number


def _success(job: Claimed) -> Outcome:
    return Outcome(job=job, kind=Kind.SUCCESS, started_at=1, finished_at=2, result=b"0")


def main(path: Path) -> None:
    """Do everything once, with a checkpoint in the middle, and close in order."""
    recorded = Recorded(path)
    recorded.enqueue(4)
    recorded.work(2)
    recorded.enqueue_together(recorded.in_a_transaction)
    recorded.enqueue_from_threads(4)
    recorded.checkpoint()
    recorded.enqueue(3)
    recorded.enqueue_together(recorded.many)
    recorded.work(4)
    recorded.app.close()


def check_point(path: Path) -> None:
    """Checkpoint however short the log is."""
    checkpoint._SMALL = checkpoint.LARGE = 0
    checkpoint.Checkpointer(path, library.APSW).run()


if __name__ == "__main__":
    (check_point if "checkpoint" in sys.argv else main)(Path(sys.argv[1]))
