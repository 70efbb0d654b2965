# ruff: noqa: S101 - pytest's assert
"""Jobs with a past: made by hand as another store had them, or lived through in this one."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from ...brokers.base import CRASH_LIMIT, Broker
from ...brokers.records import AttemptRecord, Failure, JobRecord, Kind, OperationRecord, State
from ...clock import SECOND
from ...ids import new_ids
from ..clock import FakeClock
from .case import Worker, crash, one, outcome, success

HISTORIES = [
    *("scheduled", "ready", "rescheduled", "retried", "snoozed", "lost", "successful", "late success", "failed"),
    *("quarantined", "cancelled", "stopped", "expired", "again"),
]
"""What `live_through` can make of a job."""


def record(**fields: Any) -> JobRecord:
    """Return a job as another store had it."""
    settings: dict[str, Any] = {
        "id": new_ids(1)[0],
        "task": "task",
        "queue": "default",
        "payload": b"[]",
        "options": None,
        "state": State.READY,
        "priority": 0,
        "due": 10,
        "enqueued_at": 10,
        "expires": None,
        "unique_key": None,
        "started_at": None,
        "finished_at": None,
        "attempt": 0,
        "crashes": 0,
        "fence": 9,
        "version": 9,
        "parked": False,
        "stop_requested": False,
        "result": None,
        "failure": None,
        "attempts": [],
        "operations": [OperationRecord("reschedule", 11, "ann@far")],
        **fields,
    }
    if settings["state"].is_terminal:
        settings["finished_at"] = settings["finished_at"] or 20
    return JobRecord(**settings)


def attempt(number: int, ended: str, host: str, pid: int) -> AttemptRecord:
    """Return an attempt of a worker that this store never had."""
    failure = None if ended == "successful" else Failure("Boom", f"attempt {number}", "Traceback …")
    times = {"started_at": 10 * number + 10, "finished_at": 10 * number + 20}
    return AttemptRecord(number=number, outcome=ended, **times, host=host, pid=pid, version="0.9", failure=failure)


def lasting(job: JobRecord) -> JobRecord:
    """Return a job without what begins anew in another store."""
    return structs.replace(job, fence=0, version=0, parked=False, stop_requested=False)


def live_through(history: str, broker: Broker, worker: Worker, clock: FakeClock, job_id: bytes) -> None:
    """Give a ready job a past."""
    if history == "scheduled":
        worker.settle(outcome(worker.claim_one(), Kind.RETRY, delay=SECOND))
    elif history == "rescheduled":
        broker.reschedule(one(job_id), clock.now() + SECOND)
        broker.reschedule(one(job_id), clock.now() - SECOND)
    elif history in ("retried", "snoozed"):
        worker.settle(outcome(worker.claim_one(), Kind.RETRY if history == "retried" else Kind.SNOOZE))
    elif history == "lost":
        crash(broker, job_id)
    elif history == "quarantined":
        for _ in range(CRASH_LIMIT):
            crash(broker, job_id)
    elif history == "late success":
        worker.settle(outcome(worker.claim_one(), Kind.RETRY))
        worker.settle(success(worker.claim_one()))
    elif history != "ready":
        _end(history, broker, worker, clock, job_id)


def _end(history: str, broker: Broker, worker: Worker, clock: FakeClock, job_id: bytes) -> None:
    if history == "successful":
        worker.settle(success(worker.claim_one()))
    elif history in ("failed", "again"):
        worker.settle(outcome(worker.claim_one(), Kind.FAILURE, reason="timeout"))
        if history == "again":
            broker.retry(one(job_id))
    elif history == "cancelled":
        broker.cancel(one(job_id))
    elif history == "stopped":
        job = worker.claim_one()
        broker.cancel(one(job_id))
        worker.settle(outcome(job, Kind.CANCEL, reason="cancelled"))
    else:
        assert history == "expired"
        clock.advance(61)
        assert worker.claim() == []
