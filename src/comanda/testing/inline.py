"""Inline mode: enqueueing a job runs it, in the calling thread, before `enqueue` returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..app import Comanda
from ..brokers.base import Broker
from ..brokers.factory import Opening, open_broker
from ..brokers.records import Enqueued, JobFilter, NewJob, State
from ..producer import Producer
from ..worker.inline import run_jobs

_PAGE = 1_000


@contextmanager
def inline(app: Comanda) -> Iterator[Comanda]:
    """Run each job at its enqueue during the body; yields the app.

    The job takes its way through the app's store, or through memory when the app has no URL: encoded, stored, claimed,
    run, settled, so that state, attempts and result are there when `enqueue` returns. A job that fails says so by
    `result()`, not at the enqueue; its retries run at once, without their delays. What has a `run_after` waits for
    `run_jobs`, and what was enqueued with `connection=` for the next enqueue or `run_jobs` after the commit.
    """
    broker = app.broker if app.url else open_broker("memory://", Opening(clock=app._clock))
    with app.runtime.replaced(broker, _InlineProducer(app, broker)):
        yield app


class _InlineProducer(Producer):
    def __init__(self, app: Comanda, broker: Broker) -> None:
        super().__init__(broker, app.settings.deadline)
        self._app = app

    def enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        answers = super().enqueue(jobs)
        _run(self._app)
        return answers

    async def aenqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        answers = await super().aenqueue(jobs)
        _run(self._app)
        return answers


def _run(app: Comanda) -> None:
    run_jobs(app)
    while waiting := _retries(app):
        app.broker.reschedule(JobFilter(ids=waiting), app.now())
        run_jobs(app)


def _retries(app: Comanda) -> tuple[bytes, ...]:
    """Return the jobs that wait for their next attempt; one that asked for a later run by itself has spent none."""
    scheduled = app.broker.find(JobFilter(states=(State.SCHEDULED,)), limit=_PAGE)
    return tuple(job.id for job in scheduled if job.attempt and job.task in app.tasks)
