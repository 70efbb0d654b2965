"""Attempt: one execution of a job, as its user sees it."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from .brokers.records import AttemptRecord, Failure
from .clock import to_datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One execution of a job. `outcome` is running, successful, failed, timed_out, lost, cancelled or snoozed."""

    number: int
    outcome: str
    started_at: datetime
    finished_at: datetime | None
    host: str
    pid: int
    version: str
    error_type: str = ""
    error_message: str = ""
    traceback: str = ""
    reason: str = ""

    @classmethod
    def from_record(cls, record: AttemptRecord) -> Attempt:
        """Return a stored attempt with aware datetimes."""
        failure = record.failure or Failure("", "", "", "")
        return cls(
            number=record.number,
            outcome=record.outcome,
            started_at=to_datetime(record.started_at),
            finished_at=None if record.finished_at is None else to_datetime(record.finished_at),
            host=record.host,
            pid=record.pid,
            version=record.version,
            error_type=failure.type,
            error_message=failure.message,
            traceback=failure.traceback,
            reason=failure.reason,
        )
