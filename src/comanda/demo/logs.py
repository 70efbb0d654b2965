"""Saving and reading logs: plain functions on the database, for threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from comanda import ConfigurationError, Job, JobNotFound

from .database import PLACES, Log, create_tables, engine
from .schemas import JobView, LogView, Progress, SavedLog, TagView
from .tasks import app, extract_tags


def open_store() -> None:
    """Create what does not exist yet: the directory (for this user alone), the queue's tables and the application's.

    Raises ConfigurationError when the directory cannot be made, BrokerUnavailable when the store cannot be used.
    """
    if PLACES.file is not None:
        _make_directory(PLACES.file.parent)
    app.broker.open()
    create_tables()


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the directory {directory} cannot be made: {error.strerror}") from None


def save(entry: str) -> SavedLog:
    """Store a log and enqueue the slow step, in one transaction: both are there or neither."""
    with Session(engine) as session, session.begin():
        log = Log(entry=entry)
        session.add(log)
        session.flush()
        log.job_id = extract_tags.using(connection=session).enqueue(log.id).id
        return SavedLog(id=log.id, entry=log.entry, timestamp=log.timestamp)


def read(log_id: int) -> LogView | None:
    """Return a log with its tags and its job's state; None when there is none."""
    with Session(engine) as session:
        log = session.get(Log, log_id)
        return None if log is None else _view(log)


def newest(before: int | None, limit: int) -> list[LogView]:
    """Return up to `limit` logs, newest first, from those older than the log `before`."""
    query = select(Log).order_by(Log.id.desc()).limit(limit)
    with Session(engine) as session:
        return [_view(log) for log in session.scalars(query if before is None else query.where(Log.id < before))]


def progress(log_id: int) -> Progress | None:
    """Return what has become of a log so far; None when there is no such log."""
    with Session(engine) as session:
        log = session.get(Log, log_id)
        return None if log is None else _progress(log)


def job_of(log_id: int) -> Job[Any] | None:
    """Return the job of a log; None when there is no such log, or the queue no longer keeps the job."""
    with Session(engine) as session:
        return _job(session.scalar(select(Log.job_id).where(Log.id == log_id)))


def _view(log: Log) -> LogView:
    return LogView(id=log.id, entry=log.entry, timestamp=log.timestamp, **dict(_progress(log)))


def _progress(log: Log) -> Progress:
    job = _job(log.job_id)  # before the tags: those were committed before their job succeeded
    tags = [TagView(type=tag.type, value=tag.value) for tag in log.tags]
    return Progress(job=None if job is None else _job_view(job), tags=tags)


def _job_view(job: Job[Any]) -> JobView:
    attempts = job.attempts
    error = attempts[-1].error_type if attempts else ""
    return JobView(state=job.state, attempts=len(attempts), error=error or None)


def _job(job_id: str | None) -> Job[Any] | None:
    if job_id is None:
        return None
    try:
        return app.get_job(job_id)
    except JobNotFound:
        return None
