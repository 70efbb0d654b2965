"""The places where jobs execute: as many as the child runs at a time, shared by threads and coroutines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from ..brokers.records import Outcome
from .alarm import Alarm
from .attempt import Attempt


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

    def give_back(self, slot: int) -> None:
        """Offer the slot to whoever is next."""
        self.page[slot] = 0
        self.free.append(slot)

    def running(self) -> Iterator[Attempt]:
        """Yield the attempts under way."""
        return (attempt for attempt in tuple(self._running) if attempt is not None)

    def busy(self) -> int:
        """Return how many slots are taken."""
        return self.count - len(self.free)


class Results:
    """Where executors leave outcomes, and how they tell the storage thread that waits for them."""

    def __init__(self, wake_broker: Callable[[], None]) -> None:
        self._done: deque[Outcome] = deque()
        self._wake_broker = wake_broker
        self.alarm = Alarm()
        self.at_broker = False
        """True while the storage thread waits inside the broker."""
        self.put = self._done.append

    def __len__(self) -> int:
        return len(self._done)

    def report(self) -> None:
        """Make the storage thread look, wherever it waits."""
        self.alarm.set()
        if self.at_broker:
            self._wake_broker()

    def take(self) -> list[Outcome]:
        """Return the outcomes so far. Executors go on adding meanwhile: a deque loses none of them."""
        pop = self._done.popleft
        return [pop() for _ in range(len(self._done))]
