# ruff: noqa: S101, S311 - pytest's assert; no secrets
"""Random walks over all verbs, side by side with the memory broker: the same answers and the same jobs at each step."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from ...brokers.base import Broker
from ...brokers.memory import MemoryBroker
from ...brokers.records import MESSAGE, Claimed, JobFilter, JobRecord, Kind, NewJob, State
from ...clock import SECOND
from ...ids import new_ids
from ..clock import FakeClock
from .case import LEASE, BrokerCase, Worker, outcome, recount
from .keeping import prune_all
from .liveness import nobody_knows

STEPS = 120
_QUEUES = ("a", "b", "c")
_TASKS = ("x", "y", "z")
_KINDS = list(Kind)


class Walker:
    """One broker and the workers on it: `held` are the jobs they run, `stale` those they no longer do."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.workers: list[Worker] = []
        self.held: list[tuple[Worker, Claimed]] = []
        self.stale: list[tuple[Worker, Claimed]] = []

    def lose(self, index: int) -> Worker:
        """Take a worker off the list, and what it holds."""
        worker = self.workers.pop(index)
        self.stale += [pair for pair in self.held if pair[0] is worker]
        self.held = [pair for pair in self.held if pair[0] is not worker]
        return worker

    def settle(self, pair: tuple[Worker, Claimed], kind: Kind, delay: int, now: int) -> int:
        """Write an outcome; return how many were refused."""
        done = outcome(pair[1], kind, delay=delay)
        done.started_at = done.finished_at = now
        return len(pair[0].settle(done))

    def shown(self) -> list[JobRecord]:
        """Return all jobs with their histories; who ran them may be forgotten before they are."""
        ids = [job.id for job in self.broker.find(JobFilter(), limit=10_000, oldest_first=True)]
        jobs = [job for job in self.broker.get(ids, attempts=True) if job is not None]
        for job in jobs:
            for attempt in job.attempts or ():
                attempt.host, attempt.pid, attempt.version = "", 0, ""
            job.operations = [structs.replace(operation, actor="") for operation in job.operations or ()]
        return jobs


class Walk:
    """Does the same thing to several brokers and compares what they answer. Every choice comes from one seed."""

    def __init__(self, brokers: list[Broker], clock: FakeClock, seed: int) -> None:
        self._walkers = [Walker(broker) for broker in brokers]
        self._clock = clock
        self._random = random.Random(seed)
        self._known: list[bytes] = []
        self._seen: dict[bytes, JobRecord] = {}
        self._verbs: list[Callable[[], Any]] = [
            *(self._enqueue, self._enqueue, self._claim, self._claim, self._claim, self._settle, self._settle),
            *(self._settle_stale, self._register, self._leave, self._die, self._beat, self._cancel, self._retry),
            *(self._reschedule, self._delete, self._prune, self._pause, self._advance, self._rescue),
        ]

    def step(self) -> None:
        """Do one thing; raise AssertionError when the brokers part or break a rule."""
        verb = self._random.choice(self._verbs)
        verb()
        shown = [walker.shown() for walker in self._walkers]
        model = [_without_version(job) for job in shown[0]]
        for jobs, walker in zip(shown[1:], self._walkers[1:], strict=True):
            assert [_without_version(job) for job in jobs] == model, verb.__name__
            assert walker.broker.counts() == recount(walker.broker), verb.__name__
        self._check_history(shown[-1], verb.__name__)

    def _check_history(self, jobs: list[JobRecord], verb: str) -> None:
        """Fences never fall, every change raises the version, and only a retry ends a terminal state."""
        for job in jobs:
            before = self._seen.get(job.id)
            if before is not None and before != job:
                assert job.version > before.version, verb
                assert job.fence >= before.fence, verb
                assert verb == "_retry" or not before.state.is_terminal, verb
        self._seen = {job.id: job for job in jobs}
        held = [job.unique_key for job in jobs if job.unique_key and not job.state.is_terminal]
        assert len(held) == len(set(held)), verb

    def _same(self, act: Callable[[Walker], Any]) -> Any:
        answers = [act(walker) for walker in self._walkers]
        assert all(answer == answers[0] for answer in answers), answers
        return answers[0]

    def _pick(self, some: list[Any]) -> int | None:
        return self._random.randrange(len(some)) if some else None

    def _filter(self) -> JobFilter:
        choice = self._random.random()
        if choice < 0.6:
            return JobFilter(ids=tuple(self._random.sample(self._known, min(3, len(self._known)))))
        if choice < 0.8:
            return JobFilter(queues=(self._random.choice(_QUEUES),), states=(self._random.choice(list(State)),))
        return JobFilter(tasks=(self._random.choice(_TASKS),), states=(self._random.choice(list(State)),))

    # -- what can be done ---------------------------------------------------------------------------------------

    def _enqueue(self) -> None:
        chance = self._random
        jobs = [
            NewJob(
                id=chance.choice(self._known) if self._known and chance.random() < 0.05 else new_id,
                task=MESSAGE if queue == "c" and chance.random() < 0.9 else chance.choice(_TASKS),
                queue=queue,
                payload=b"",
                priority=chance.randint(-2, 2),
                delay=chance.choice((0, 0, SECOND, 5 * SECOND)),
                expires=self._clock.now() + 8 * SECOND if chance.random() < 0.2 else None,
                unique_key=chance.choice("kl") if chance.random() < 0.3 else None,
            )
            for new_id, queue in ((job_id, chance.choice(_QUEUES)) for job_id in new_ids(chance.randint(1, 6)))
        ]
        answers = self._same(lambda walker: [(a.id, a.created, str(a.error)) for a in walker.broker.enqueue(jobs)])
        self._known += [job_id for job_id, created, _ in answers if created]

    def _register(self) -> None:
        tasks = self._random.choice(([MESSAGE], ["x"], ["x", "y"], ["x", "y", "z"]))
        if len(self._walkers[0].workers) < 6:
            for walker in self._walkers:
                walker.workers.append(Worker(walker.broker, *tasks))

    def _claim(self) -> None:
        which = self._pick(self._walkers[0].workers)
        if which is None:
            return
        limit, strict = self._random.randint(1, 6), self._random.random() < 0.3
        queues = self._random.choice(((), ("a",), ("b", "a"), ("c",), _QUEUES))

        def act(walker: Walker) -> Any:
            jobs = walker.workers[which].claim(limit, *queues, strict=strict)
            walker.held += [(walker.workers[which], job) for job in jobs]
            return [(job.id, job.fence, job.attempt, job.crashes, job.task, job.queue) for job in jobs]

        self._same(act)

    def _settle(self) -> None:
        which = self._pick(self._walkers[0].held)
        kind, delay = self._random.choice(_KINDS), self._random.choice((0, SECOND))
        if which is not None:
            now = self._clock.now()

            def act(walker: Walker) -> int:
                walker.stale.append(walker.held.pop(which))
                return walker.settle(walker.stale[-1], kind, delay, now)

            assert self._same(act) == 0

    def _settle_stale(self) -> None:
        which = self._pick(self._walkers[0].stale)
        kind = self._random.choice(_KINDS)
        if which is not None:
            now = self._clock.now()
            assert self._same(lambda walker: walker.settle(walker.stale[which], kind, 0, now)) == 1

    def _leave(self) -> None:
        which = self._pick(self._walkers[0].workers)
        if which is not None:
            for walker in self._walkers:
                walker.broker.deregister(walker.lose(which).owner)

    def _die(self) -> None:
        which = self._pick(self._walkers[0].workers)
        if which is None:
            return
        started = {job.id for _, job in self._walkers[0].held if self._random.random() < 0.5}
        unknown = self._random.random() < 0.3

        def act(walker: Walker) -> int:
            numbers = {job.n for _, job in walker.held if job.id in started}
            return walker.broker.release(walker.lose(which).owner, None if unknown else numbers)

        self._same(act)

    def _beat(self) -> None:
        def act(walker: Walker) -> Any:
            beat = walker.broker.heartbeat([worker.owner for worker in walker.workers])
            numbers = {job.n: job.id for _, job in walker.held}
            return len(beat.lost), sorted((numbers[n], fence) for n, fence in beat.stop)

        self._same(act)

    def _rescue(self) -> None:
        """Let some fall silent for a lease: exactly they are buried."""
        silent = [index for index, _ in enumerate(self._walkers[0].workers) if self._random.random() < 0.3]
        for walker in self._walkers:
            walker.broker.heartbeat([worker.owner for worker in walker.workers])
        self._same(lambda walker: len(walker.broker.rescue(LEASE, nobody_knows).owners))
        self._clock.advance(LEASE)

        def act(walker: Walker) -> Any:
            dead = [walker.lose(index).owner for index in reversed(silent)]
            walker.broker.heartbeat([worker.owner for worker in walker.workers])
            done = walker.broker.rescue(LEASE, nobody_knows)
            assert sorted(done.owners) == sorted(dead)
            return done.jobs, done.parked, done.expired

        self._same(act)

    def _advance(self) -> None:
        self._clock.advance(self._random.choice((0.5, 1.0, 3.0)))

    def _cancel(self) -> None:
        which = self._filter()
        self._same(lambda walker: sorted(walker.broker.cancel(which)))

    def _retry(self) -> None:
        which = self._filter()
        self._same(lambda walker: sorted(walker.broker.retry(which)))

    def _reschedule(self) -> None:
        which, due = self._filter(), self._clock.now() + self._random.choice((-SECOND, 0, SECOND))
        self._same(lambda walker: sorted(walker.broker.reschedule(which, due)))

    def _delete(self) -> None:
        which = self._filter()
        if which.ids:
            self._same(lambda walker: walker.broker.delete(which))

    def _prune(self) -> None:
        limit = self._clock.now() - self._random.randint(0, 10) * SECOND
        most = self._random.choice((5, 1_000))
        self._same(
            lambda walker: prune_all(walker.broker, successful_before=limit, ended_before=limit, keep_at_most=most)
        )

    def _pause(self) -> None:
        queues = [queue.name for queue in self._walkers[0].broker.queues()]
        if queues:
            name, verb = self._random.choice(queues), self._random.choice(("pause", "resume", "resume"))
            self._same(lambda walker: getattr(walker.broker, verb)(name))


def _without_version(job: JobRecord) -> JobRecord:
    """Return what must be the same everywhere: how many writes a change takes is each broker's own affair."""
    return structs.replace(job, version=0)


class RandomWalks(BrokerCase):
    """The memory broker is small enough to be the model of all others."""

    @pytest.mark.parametrize("seed", range(8))
    def test_a_random_walk_leads_where_it_leads_the_memory_broker(
        self, broker: Broker, clock: FakeClock, seed: int
    ) -> None:
        """Same answers, same jobs, counts that agree with a recount, fences that never fall: at every step."""
        walk = Walk([MemoryBroker(clock), broker], clock, seed)
        for _ in range(STEPS):
            walk.step()
