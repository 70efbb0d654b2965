"""The heart of a child: claim, run, settle, and again.

One storage thread talks to the broker. While jobs are short it works in lockstep with one executor thread: claim a
batch, sleep while the batch runs, settle it and claim the next in one transaction. Two busy threads would fight for
the interpreter's lock at each of SQLite's statements, 5 ms a time. When a batch is not done after 5 ms more executors
are woken, and the storage thread settles what is ready, so that a slow job holds up nobody.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Collection

from ..brokers.base import Broker
from ..brokers.records import Claimed, Demand, Exchanged, Outcome
from ..errors import BrokerError, BrokerUnavailable
from .backoff import Backoff
from .batching import SHORT
from .executors import Executors
from .joblog import JobLog
from .transactional import set_apart

POLL = 1.0
"""Seconds between two looks for work when no bell rings, give or take a fifth (WK2)."""

TTL = 0.5
"""Seconds that claimed jobs may wait for a slot before they go back for others to take."""

STOP_LOOK = 0.3
"""Seconds between two questions for stop requests at least."""

_log = logging.getLogger("comanda.worker")


class Engine:
    """Claims jobs of `tasks` for `owner` and has them run, until it is stopped.

    `on_doubt` hears of a claim whose answer was lost: the store may count jobs as this owner's that nobody knows.
    """

    def __init__(
        self,
        broker: Broker,
        owner: int,
        tasks: Collection[str],
        executors: Executors,
        *,
        queues: tuple[str, ...] | None = None,
        strict: bool = False,
        burst: bool = False,
        on_doubt: Callable[[], None] = lambda: None,
    ) -> None:
        self._broker = broker
        self._owner = owner
        self._tasks = frozenset(tasks)
        self._queues = queues
        self._strict = strict
        self._burst = burst
        self._on_doubt = on_doubt
        self._executors = executors
        self._results = executors.results
        self._batching = executors.batching
        self._jobs = JobLog()
        self._backoff = Backoff(0.1, 3.0)  # so that work goes on within 5 s of the store's return
        self._unsettled: list[Outcome] = []
        self._in_doubt = False
        self._returning = False
        self._asked = 0.0
        self._must_ask = False
        self._stopping = threading.Event()
        self._stop_by = 0.0
        self._lost = False

    def stop(self, grace: float) -> None:
        """Take no more jobs and hand back what has not begun; `run` returns when all ended, or after `grace` s.

        From any thread. A second call can only shorten the time.
        """
        until = time.monotonic() + grace
        self._stop_by = min(self._stop_by, until) if self._stopping.is_set() else until
        self._stopping.set()
        self._results.report()

    def abandon(self) -> None:
        """This owner was declared dead: stop its jobs, which others may run by now, and write nothing more."""
        self._lost = True
        self._executors.abandon()
        self.stop(0)

    def run(self) -> list[Claimed]:
        """Work until stopped, on the calling thread; return the jobs still running then, which this owner holds."""
        while not self._is_over():
            self._turn()
        self._jobs.sum_up(at_once=True)
        self._executors.close()
        return [] if self._lost else [attempt.job for attempt in self._executors.slots.running()]

    # -- one turn -----------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        outcomes = self._collect()
        wanted = 0 if self._unsettled else self._wanted()
        if not outcomes and not wanted:
            if not self._is_over():  # as it may be now that a task has written its outcome by itself
                self._wait_for_executors()
            return
        answer = self._exchange(outcomes, wanted)
        if answer is None:
            return
        self._note(outcomes, answer)
        if answer.claimed:
            self._batching.claimed(len(answer.claimed), wanted)
            self._executors.hand_out(answer.claimed)
            self._wait_for_executors()
        elif wanted:  # the claim came after the settling, so nothing is ready now; a later ring is not missed
            self._wait_for_work()

    def _collect(self) -> list[Outcome]:
        """Return the outcomes to settle: those that were not taken, new ones, and jobs that go back."""
        outcomes = self._unsettled + self._set_apart(self._results.take())
        if self._stopping.is_set() or (not self._executors.slots.free and self._batching.held_since() > TTL):
            returned = self._executors.take_back()
            self._returning |= bool(returned)
            outcomes += returned
        return outcomes

    def _set_apart(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Note what tasks have written in their own transactions; return what is left to settle."""
        left, written, refused = set_apart(outcomes)
        if written:
            self._batching.ended(written)
            self._jobs.settled(written)
        if refused:
            self._jobs.refused(refused)
        return left

    def _wanted(self) -> int:
        if self._stopping.is_set():
            return 0
        slots = self._executors.slots
        return self._batching.wanted(slots.count, len(slots.free), self._executors.waiting)

    def _exchange(self, outcomes: list[Outcome], wanted: int) -> Exchanged | None:
        """Settle and claim; None when the store failed: then the outcomes are kept, and a pause was made."""
        try:
            answer = self._broker.exchange(
                self._owner, outcomes, Demand(wanted, self._tasks, self._queues, self._strict)
            )
        except BrokerError as error:
            self._unsettled = outcomes
            self._in_doubt |= wanted > 0 and isinstance(error, BrokerUnavailable) and error.may_have_written
            self._pause(error)
            return None
        self._unsettled = []
        return answer

    def _note(self, outcomes: list[Outcome], answer: Exchanged) -> None:
        if self._backoff.failures:
            _log.info("the store answers again after %d attempts", self._backoff.failures)
            self._backoff.reset()
        if self._in_doubt:
            self._in_doubt = False
            self._on_doubt()
        if self._returning:
            self._returning = False
            self._broker.ring()  # others may take what we could not begin
        if answer.refused:
            refused = {id(outcome) for outcome in answer.refused}
            outcomes = [outcome for outcome in outcomes if id(outcome) not in refused]
            self._jobs.refused(answer.refused)
        if outcomes:
            self._batching.ended(outcomes)
            self._jobs.settled(outcomes)
        self._jobs.sum_up()

    def _pause(self, error: BrokerError) -> None:
        if not self._backoff.failures:
            _log.warning("no new jobs, and outcomes are kept until the store answers: %s", error)
        self._stopping.wait(self._backoff.next())

    # -- waiting ------------------------------------------------------------------------------------------------

    def _wait_for_executors(self) -> None:
        """Come back when there are outcomes, or when a batch turns out to be slow."""
        free = len(self._executors.slots.free)
        short = self._executors.waiting or (free and not self._stopping.is_set())
        if self._results.wait(SHORT if short else STOP_LOOK):
            return
        if free and self._executors.waiting:
            self._executors.widen()
        elif not short:
            self._look_for_stops()

    def _wait_for_work(self) -> None:
        """Come back when there may be work, an outcome or a stop request; the store has nothing to hand out now."""
        busy = self._executors.slots.busy()
        if self._burst and not busy and not self._results.has_news():
            self.stop(0)
            return
        pause = STOP_LOOK if self._must_ask else POLL * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret
        try:
            self._results.wait_elsewhere(lambda: self._broker.wait_for_work(pause))
        except BrokerError as error:
            self._pause(error)
        if busy:
            self._look_for_stops()

    def _look_for_stops(self) -> None:
        """Ask which running jobs shall stop, at most every STOP_LOOK seconds: a bell may have rung for one."""
        now = time.monotonic()
        self._must_ask = now - self._asked < STOP_LOOK
        if self._must_ask:
            return
        self._asked = now
        try:
            beat = self._broker.heartbeat([self._owner])
        except BrokerError:  # the next exchange finds out
            return
        if beat.lost:
            self.abandon()
        if beat.stop:
            self._executors.stop(set(beat.stop))

    def _is_over(self) -> bool:
        if not self._stopping.is_set():
            return False
        if self._lost:
            return True
        slots = self._executors.slots
        # An attempt that ignores its time limit ends with this process only: nothing is won by waiting for it.
        # The slots are looked at first: whoever gives one back has left its outcome before.
        ended = slots.busy() <= slots.stuck()
        left = self._executors.waiting or self._results.has_news() or self._unsettled
        return (ended and not left) or time.monotonic() >= self._stop_by
