"""An app whose jobs the tests of the command line look at, and what a worker does to them, without a worker."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from msgspec import structs

from comanda import Comanda, Retry, Secret, outcome
from comanda.brokers.records import Claimed, Demand, JobFilter, JobRecord, Outcome, WorkerInfo
from comanda.ids import from_text
from comanda.job import Job
from tests.servers.stores import Store

SOURCE = """
from comanda import Comanda, Secret

app = Comanda("sqlite:///shop.db")


@app.task
def send_mail(to: str, token: Secret[str] = Secret("none"), copies: int = 1) -> dict[str, int]:
    return {to: copies}


@app.task(queue="reports", timeout=30)
def make_report(month: str) -> str:
    return month
"""


_NO_TOKEN = Secret("none")


class Shop:
    """The app and one worker's owner id."""

    def __init__(self, path: Path, store: Store | None = None) -> None:
        """`path` is the SQLite file, unless the jobs are in another store."""
        self.path = path
        self.url, self.namespace = store or (f"sqlite:///{path}", "comanda")
        self.app = Comanda(self.url, namespace=self.namespace)
        self.send_mail = self.app.task(name="shop.send_mail")(_send_mail)
        self.make_report = self.app.task(name="shop.make_report", queue="reports", timeout=30)(_make_report)
        self._owner: int | None = None

    @property
    def owner(self) -> int:
        """The worker, registered at the first use."""
        if self._owner is None:
            self._owner = self.register()
        return self._owner

    def register(self, queues: tuple[str, ...] | None = None) -> int:
        """Register a worker of this process that knows all tasks."""
        tasks = tuple(self.app.tasks)
        return self.app.broker.register(
            WorkerInfo(
                host=socket.gethostname(), pid=os.getpid(), version="1.0", kind="child", tasks=tasks, queues=queues
            )
        )

    def park(self) -> Job[Any]:
        """Return a job of a task that the living worker does not know, parked by its rescue."""
        assert self.owner
        other = Comanda(self.url, namespace=self.namespace)
        try:
            job: Job[Any] = other.task(name="shop.lost")(_make_report).enqueue("may")
        finally:
            other.close()
        assert self.app.broker.rescue(10.0, lambda _owner: None).parked == 1
        return job

    def claim(self, job: Job[Any]) -> Claimed:
        """Take this job, which must be the only one that is due in its queue."""
        demand = Demand(limit=1, tasks=frozenset({job.task}), queues=(job.queue,))
        (claimed,) = self.app.broker.claim(self.owner, demand)
        assert claimed.id == from_text(job.id)
        return claimed

    def die_with(self, job: Job[Any]) -> None:
        """Let the worker die while it executes this job."""
        claimed = self.claim(job)
        self.app.broker.release(self.owner, {claimed.n})
        self._owner = None

    def settle(self, done: Outcome) -> None:
        """Write an outcome down."""
        assert self.app.broker.settle(self.owner, [done]) == []

    def successful(self, to: str = "ann") -> Job[Any]:
        """Return a job that ended well."""
        job = self.send_mail.enqueue(to)
        claimed, now = self.claim(job), self.app.now()
        self.settle(outcome.succeeded(claimed, b'{"sent": 1}', now - 300_000, now))
        return job

    def failed(self, to: str = "ann", text: str = "no such mailbox") -> Job[Any]:
        """Return a job that failed."""
        job = self.send_mail.enqueue(to, Secret("s3cret"))
        self.fail(self.claim(job), text, Retry(max_attempts=1))
        return job

    def fail(self, claimed: Claimed, text: str, retry: Retry) -> None:
        """Let an attempt end in an exception."""
        now = self.app.now()
        try:
            _refuse(text)
        except ConnectionError as error:
            self.settle(outcome.raised(claimed, error, retry, now - 600_000, now))


def jobs_of(app: Comanda) -> list[JobRecord]:
    """All jobs as their pages show them, without what begins anew elsewhere."""
    found = app.broker.find(JobFilter(), limit=1_000, oldest_first=True)
    records = app.broker.get([record.id for record in found], attempts=True)
    return [structs.replace(record, fence=0, version=0, parked=False) for record in records if record is not None]


def _refuse(text: str) -> None:
    raise ConnectionError(text)


def _send_mail(to: str, token: Secret[str] = _NO_TOKEN, copies: int = 1) -> dict[str, int]:
    return {to: copies}


def _make_report(month: str) -> str:
    return month
