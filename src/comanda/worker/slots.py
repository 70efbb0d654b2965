"""The places where jobs execute: as many as the child runs at a time, shared by threads and coroutines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..brokers.records import Outcome
from .alarm import Alarm
from .attempt import Attempt
from .batching import SHORT


class Slots:
    """Who executes what. An executor that holds a slot's number is the only one to write to it.

    `page` is the presence page: what stands there survives the process.
    """

    def __init__(self, count: int, page: memoryview) -> None:
        self.count = count
        self.page = page
        self.free = deque(range(count))
        self._running: list[Attempt | None] = [None] * count

    def occupy(self, slot: int, attempt: Attempt) -> None:
        """Note that `attempt` begins; its row id stands in the page already."""
        self._running[slot] = attempt
        if attempt.deadline is not None:
            self.page[self.count + slot] = int(attempt.deadline * 1_000_000)

    def vacate(self, slot: int) -> None:
        """Note that the slot's attempt has ended."""
        self._running[slot] = None
        self.page[self.count + slot] = 0

    def give_back(self, slot: int) -> bool:
        """Offer the slot to whoever is next; return whether all slots are free now."""
        self.page[slot] = 0
        self.free.append(slot)
        return len(self.free) == self.count

    def running(self) -> Iterator[Attempt]:
        """Yield the attempts under way."""
        return (attempt for attempt in tuple(self._running) if attempt is not None)

    def busy(self) -> int:
        """Return how many slots are taken."""
        return self.count - len(self.free)

    def stuck(self) -> int:
        """Return how many are taken by attempts that go on although their time is over."""
        return sum(attempt.stuck for attempt in self.running())


class Results:
    """Where executors leave outcomes, and how they tell the storage thread that waits for them."""

    def __init__(self, wake_broker: Callable[[], None]) -> None:
        self._done: deque[Outcome] = deque()
        self._wake_broker = wake_broker
        self._alarm = Alarm()
        self._at_broker = False
        self._patient = True
        self._news = 0
        self._seen = 0
        self.put = self._done.append

    def report(self) -> None:
        """Make the storage thread look, wherever it waits."""
        self._news += 1
        self._alarm.set()
        if self._at_broker:
            self._wake_broker()

    def report_idle(self, *, last: bool) -> None:
        """Tell that an executor has nothing to do. Unless it is the last, the others may follow within a moment."""
        if last or not self._patient:
            self.report()
        else:
            self._news += 1

    def take(self) -> list[Outcome]:
        """Return the outcomes so far. Executors go on adding meanwhile: a deque loses none of them."""
        self._seen = self._news
        pop = self._done.popleft
        return [pop() for _ in range(len(self._done))]

    def has_news(self) -> bool:
        """Return whether anything has happened since `take`."""
        return bool(self._done) or self._seen != self._news

    def wait(self, timeout: float) -> bool:
        """Wait for a report at most `timeout` seconds. After a short wait the caller looks anyway."""
        if timeout <= SHORT:
            return self._alarm.wait(timeout)
        with self._impatient():
            return self.has_news() or self._alarm.wait(timeout)

    def wait_elsewhere(self, wait: Callable[[], None]) -> None:
        """Wait inside the broker, by `wait`, unless there is news; a report ends it."""
        with self._impatient():
            self._at_broker = True
            try:
                if not self.has_news():
                    wait()
            finally:
                self._at_broker = False

    @contextmanager
    def _impatient(self) -> Iterator[None]:
        """From here on every report counts; what happened just before is found by `has_news`."""
        self._patient = False
        try:
            yield
        finally:
            self._patient = True
