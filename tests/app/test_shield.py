"""A time limit that strikes a task inside comanda's own work waits until that is done."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from comanda import Comanda, TimedOut
from comanda.brokers.records import Enqueued, NewJob
from comanda.group_commit import GroupCommit
from comanda.ids import new_ids
from comanda.shield import ShieldedLock, lowered, shield
from comanda.worker.interrupt import Interruptible

from .conftest import MakeApp

LONG = 30.0
"""Seconds that only a failing test waits."""


class Task:
    """A body on a thread that can be interrupted, as a worker runs it."""

    def __init__(self, body: Callable[[], object]) -> None:
        self._body = body
        self._attempt: Any = SimpleNamespace(interrupted=None)
        self._interruptible: Interruptible | None = None
        self._ready = threading.Event()
        self.value: object = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(LONG)

    def _run(self) -> None:
        self._interruptible = Interruptible()
        self.value, self.error = self._interruptible.call(self._attempt, self._call)

    def _call(self, _: object) -> object:
        self._ready.set()
        return self._body()

    def interrupt(self) -> None:
        """Tell it that its time is over."""
        assert self._interruptible is not None
        self._interruptible.interrupt(self._attempt, TimedOut)

    def ended(self) -> Task:
        self._thread.join(LONG)
        assert not self._thread.is_alive()
        return self


def gate() -> tuple[threading.Event, threading.Event]:
    return threading.Event(), threading.Event()


def test_an_interrupt_waits_until_the_shield_goes_down() -> None:
    reached, go_on = gate()
    steps: list[str] = []

    def body() -> None:
        with shield(), shield():
            reached.set()
            assert go_on.wait(LONG)
            steps.append("inside")
        steps.append("outside")

    task = Task(body)
    assert reached.wait(LONG)
    task.interrupt()
    go_on.set()
    assert isinstance(task.ended().error, TimedOut)
    assert steps == ["inside"]


def test_the_next_call_on_the_thread_starts_without_a_shield() -> None:
    interruptible = Interruptible()
    first: Any = SimpleNamespace(interrupted=None)
    _, error = interruptible.call(first, lambda _: interruptible.__enter__())
    assert error is None
    second: Any = SimpleNamespace(interrupted=None)
    _, error = interruptible.call(second, lambda attempt: interruptible.interrupt(attempt, TimedOut))
    assert isinstance(error, TimedOut)


def test_a_thread_that_nobody_interrupts_has_a_shield_that_does_nothing() -> None:
    lock = ShieldedLock(threading.Lock())
    with lock, lowered():
        assert not lock.acquire(timeout=0)
    assert lock.acquire()
    lock.release()


def test_a_lock_that_is_not_had_in_time_leaves_no_shield_up() -> None:
    lock = ShieldedLock(threading.Lock())
    reached, go_on = gate()

    def body() -> None:
        assert not lock.acquire(timeout=0)
        reached.set()
        assert go_on.wait(LONG)

    with lock:
        task = Task(body)
        assert reached.wait(LONG)
        task.interrupt()
        go_on.set()
        assert isinstance(task.ended().error, TimedOut)


def test_the_time_limit_of_a_leader_costs_its_followers_nothing() -> None:
    reached, go_on = gate()
    commits: GroupCommit

    def commit(jobs: Sequence[NewJob]) -> list[Enqueued]:
        reached.set()
        assert go_on.wait(LONG)
        return [Enqueued(one.id) for one in jobs]

    commits = GroupCommit(commit, LONG)
    leader = Task(lambda: commits.submit([job()]))
    assert reached.wait(LONG)
    leader.interrupt()
    follower = Task(lambda: commits.submit([job()]))
    go_on.set()
    assert isinstance(leader.ended().error, TimedOut)
    assert follower.ended().error is None
    assert isinstance(follower.value, list)


def job() -> NewJob:
    return NewJob(id=new_ids(1)[0], task="t", queue="q", payload=b"{}")


def test_a_time_limit_ends_a_transaction_of_the_app_in_its_body(make_app: MakeApp) -> None:
    """Comanda's own work is short; what the user does inside a transaction may not be."""
    app = make_app("sqlite")
    reached, go_on = gate()

    def body() -> None:
        with app.transaction() as connection:
            connection.execute("CREATE TABLE half_done (n INTEGER)")
            reached.set()
            while not go_on.wait(0.001):
                pass

    task = Task(body)
    assert reached.wait(LONG)
    task.interrupt()
    assert isinstance(task.ended().error, TimedOut)
    with app.transaction() as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE name = 'half_done'").fetchall() == []


@pytest.mark.untraced
def test_interrupts_at_any_moment_leave_the_store_and_the_write_path_usable(app: Comanda) -> None:
    """Before the shield, one in a few hundred left the store's lock taken for ever."""
    note = app.task(name="note")(lambda: None)
    note.enqueue()
    chance = random.Random(20260101)  # noqa: S311 - where to strike, no secret

    def enqueue_for_ever() -> None:
        while True:
            note.enqueue()

    for _ in range(100):
        task = Task(enqueue_for_ever)
        for _ in range(chance.randrange(20_000)):
            pass
        task.interrupt()
        assert isinstance(task.ended().error, TimedOut)
    assert note.enqueue().created
    assert sum(app.broker.counts().values()) == len(app.find_jobs(limit=1_000_000))
