"""`enqueue_many`: one transaction up to 10,000 jobs or 16 MiB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from .brokers.base import ENQUEUE_LIMIT
from .brokers.records import Enqueued, NewJob
from .errors import ConfigurationError
from .group_commit import BATCH_BYTES
from .ids import new_ids
from .job import Job
from .task import Call

if TYPE_CHECKING:
    from .app import Comanda

R = TypeVar("R")

Batch = list[tuple[Call[Any], NewJob]]

_IDS = 500
"""Calls that share one `os.urandom`."""


def transactions(app: Comanda, calls: Iterable[Call[Any]], *, chunks: bool) -> Iterator[Batch]:
    """Yield the jobs of one transaction after the other.

    Without `chunks` there is one at most, known to fit before anything is stored; else raises ConfigurationError.
    """
    if chunks:
        return _cut(_jobs(app, calls))
    whole = list(islice(_cut(_jobs(app, calls)), 2))
    if len(whole) > 1:
        raise ConfigurationError(
            f"enqueue_many: more than {ENQUEUE_LIMIT:,} jobs or {BATCH_BYTES // 2**20} MiB do not fit one "
            "transaction, and nothing was stored; pass chunks=True to store them in several"
        )
    return iter(whole)


def handles(app: Comanda, batch: Batch, stored: Sequence[Enqueued]) -> list[Job[Any]]:
    """Return the handles of a stored batch; raise the first refused item's error."""
    return [app.receipt(call.task, job, answer) for (call, job), answer in zip(batch, stored, strict=True)]


def _jobs(app: Comanda, calls: Iterable[Call[Any]]) -> Iterator[tuple[Call[Any], NewJob]]:
    source = iter(calls)
    while some := list(islice(source, _IDS)):
        for call, job_id in zip(some, new_ids(len(some)), strict=True):
            _check(app, call)
            yield call, call.task.new_job(call.payload, None if call.task.options.id else job_id)


def _check(app: Comanda, call: Any) -> None:
    if not isinstance(call, Call):
        raise ConfigurationError(f"enqueue_many takes task.call(…) items, got {type(call).__name__}")
    if call.task.app is not app:
        raise ConfigurationError(f"task {call.task.name} belongs to another app: enqueue its calls there")
    if call.task.options.connection is not None:
        raise ConfigurationError("enqueue_many does not take calls with connection=; enqueue them one by one")


def _cut(jobs: Iterable[tuple[Call[Any], NewJob]]) -> Iterator[Batch]:
    batch: Batch = []
    size = 0
    for item in jobs:
        length = len(item[1].payload)
        if batch and (len(batch) == ENQUEUE_LIMIT or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += length
    if batch:
        yield batch
