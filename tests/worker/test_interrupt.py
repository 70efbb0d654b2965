"""An exception sent into a thread hits the call it was meant for, or nothing."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable

import pytest

from comanda import Comanda
from comanda.brokers.records import Claimed
from comanda.errors import Cancelled, TimedOut
from comanda.ids import new_ids
from comanda.worker import interrupt
from comanda.worker.attempt import Attempt, begin, now
from comanda.worker.interrupt import Interruptible

from .support import SOON

CALLS = 3_000


def _attempt(app: Comanda, number: int) -> Attempt:
    job = Claimed(number, new_ids(1)[0], 1, 1, 0, "task", "default", b"{}", None, 0)
    attempt = begin(job, app.tasks, now())
    assert isinstance(attempt, Attempt)
    return attempt


@pytest.fixture
def tasks(memory_app: Comanda) -> Comanda:
    @memory_app.task(name="task")
    def task() -> None: ...

    return memory_app


# The collector may run a callback inside the call: an exception that is raised there is lost (and the body goes on).
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.untraced
def test_interrupts_at_random_moments_never_leave_their_call(tasks: Comanda) -> None:
    chance = random.Random(7)  # noqa: S311 - moments, no secret
    never = threading.Lock()
    never.acquire()

    def body(attempt: Attempt) -> int:
        if chance.random() < 0.1:
            never.acquire(timeout=1e-5)  # lets the other thread have the interpreter
        return sum(range(chance.randrange(300)))

    calls = Calls(tasks, body)
    runner, sender = threading.Thread(target=calls.run), threading.Thread(target=calls.interrupt_now_and_then)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in (runner, sender):
            thread.start()
        runner.join(60)
        sender.join(SOON)
    finally:
        sys.setswitchinterval(interval)
    assert calls.escaped == []
    assert len(calls.made) == CALLS
    assert 0 < len(calls.hit) < CALLS, "interrupts must hit some calls and miss others"
    assert {id(attempt) for attempt in calls.hit} <= {id(attempt) for attempt in calls.sent}


class Calls:
    """One thread that makes CALLS calls, and another one that interrupts them."""

    def __init__(self, app: Comanda, body: Callable[[Attempt], int]) -> None:
        self._app = app
        self._body = body
        self._over = threading.Event()
        self.made: list[tuple[Interruptible, Attempt]] = []
        self.sent: list[Attempt] = []
        self.hit: list[Attempt] = []
        self.escaped: list[BaseException] = []

    def run(self) -> None:
        interruptible = Interruptible()
        try:
            for number in range(CALLS):
                attempt = _attempt(self._app, number)
                self.made.append((interruptible, attempt))
                _, error = interruptible.call(attempt, self._body)
                if error is not None:
                    assert isinstance(error, TimedOut)
                    assert attempt.interrupted is TimedOut
                    self.hit.append(attempt)
        except BaseException as error:  # noqa: BLE001 - that is what must not happen
            self.escaped.append(error)
        finally:
            self._over.set()

    def interrupt_now_and_then(self) -> None:
        while not self._over.is_set():
            for interruptible, attempt in self.made[-1:]:
                if interruptible.interrupt(attempt, TimedOut):
                    self.sent.append(attempt)


def test_an_interrupt_after_the_call_is_refused(tasks: Comanda) -> None:
    interruptible = Interruptible()
    attempt = _attempt(tasks, 1)
    assert interruptible.call(attempt, lambda _: "done") == ("done", None)
    assert not interruptible.interrupt(attempt, Cancelled)


def test_a_call_is_interrupted_only_once(tasks: Comanda) -> None:
    interruptible = Interruptible()
    attempt = _attempt(tasks, 1)
    answers: list[bool] = []

    def interrupt_twice() -> None:
        answers.extend(interruptible.interrupt(attempt, kind) for kind in (Cancelled, TimedOut))

    other = threading.Thread(target=interrupt_twice)

    def body(attempt: Attempt) -> None:
        other.start()
        while True:
            sum(range(100))

    _, error = interruptible.call(attempt, body)
    other.join(SOON)
    assert answers == [True, False]
    assert isinstance(error, Cancelled)
    assert attempt.interrupted is Cancelled


def test_what_is_sent_between_the_end_of_a_call_and_its_edge_hits_nothing_else(
    tasks: Comanda, monkeypatch: pytest.MonkeyPatch
) -> None:
    interruptible = Interruptible()
    attempt = _attempt(tasks, 1)
    sending, ended = threading.Event(), threading.Event()
    raise_in = interrupt._raise_in

    def send_late(thread: int, kind: type[BaseException] | None) -> None:
        if kind is not None:
            sending.set()
            assert ended.wait(SOON)
        raise_in(thread, kind)

    monkeypatch.setattr(interrupt, "_raise_in", send_late)
    sender = threading.Thread(target=interruptible.interrupt, args=(attempt, TimedOut))

    def body(attempt: Attempt) -> None:
        sender.start()
        assert sending.wait(SOON)  # the sender holds the edge now
        ended.set()

    interruptible.call(attempt, body)
    sender.join(SOON)
    assert attempt.interrupted is TimedOut
    assert [number for number in range(1000) if number % 2] == list(range(1, 1000, 2))  # nothing is raised here
