"""The wake-up after somebody else's commit.

On a raw connection nobody tells when the caller commits, so a thread looks for the job's id after 1, 2, 4 … 100 ms,
for 5 s, and then leaves it to the workers' poll (design section 6).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Protocol

from .errors import ComandaError
from .joining import join

_FIRST, _LONGEST, _TOTAL = 0.001, 0.1, 5.0

_BUSY = (0.01, 0.1)
"""Seconds between two looks, at least and at most, while more and more jobs are sought: at 2,000 commits a second, a
look for each of them would cost as much as they do."""

_SHARE = 20
"""A look that took so long lets twenty times as long pass to the next one, within `_BUSY`: where everybody waits for
the database, looking must not be what they wait for. Looking and ringing took 5 % of 32 concurrent transactions."""

_LINGER = 1.0
"""Seconds that the thread stays when nothing is sought: to start one for each transaction took 60 µs of its 540."""

_AT_ONCE = 100
"""Ids in one look at most, the latest: a transaction may hold thousands of jobs, and one of them tells of all."""


class Place(Protocol):
    """Where the jobs are to appear: a broker or an outbox."""

    def existing(self, ids: Sequence[bytes]) -> Collection[bytes]:
        """Return those of the ids that are there."""
        ...

    def ring(self) -> None:
        """Wake those who wait for them."""
        ...


class Lookout:
    """Rings once jobs that were enqueued on a caller's connection have become visible."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._reset()

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._new: deque[tuple[bytes, float]] = deque()
        self._sought: dict[bytes, float] = {}
        self._pause = _FIRST
        self._rest = _BUSY[0]
        self._looked = 0.0
        self._next = 0.0
        self._idle = False
        self._thread: threading.Thread | None = None

    def expect(self, job_id: bytes) -> None:
        """Look for this job from now on.

        Each enqueue comes by, so it takes the lock only when the next look has to come sooner: the lock took a tenth
        of the rate of 32 concurrent transactions.
        """
        now = time.monotonic()
        self._new.append((job_id, now + _TOTAL))
        soon = max(now + _FIRST, self._looked + self._rest)
        if self._thread is not None and soon >= self._next:
            return
        with self._changed:
            if self._thread is None:
                self._pause, self._next = _FIRST, soon
                self._thread = threading.Thread(target=self._serve, name="comanda-lookout", daemon=True)
                self._thread.start()
            elif soon < self._next:
                self._pause, self._next = _FIRST if self._idle else self._rest, soon
                self._changed.notify()

    def close(self) -> None:
        """Stop looking."""
        with self._changed:
            self._new.clear()
            self._sought.clear()
            self._idle, self._next = True, 0.0
            self._changed.notify()
            thread = self._thread
        join(thread)

    def forget(self) -> None:
        """After a fork, in the child."""
        self._reset()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while (left := self._next - time.monotonic()) > 0:
                    self._changed.wait(left)
                now = time.monotonic()
                wanted = self._wanted(now)
                if not wanted:
                    if self._rests(now):
                        continue
                    return
                self._idle = False
            found = self._look(wanted)
            self._plan(found, now)

    def _rests(self, now: float) -> bool:
        """Nothing is sought: stay for a while, then end. What comes without the lock meanwhile is seen afterwards."""
        if not self._idle:
            self._idle, self._next = True, now + _LINGER
        else:
            self._thread = None
        if self._new:
            self._thread, self._next = threading.current_thread(), now + _FIRST
        return self._thread is not None

    def _wanted(self, now: float) -> list[bytes]:
        """Take what is new, drop what was sought for long enough, and return what the next look is for."""
        while self._new:
            job_id, until = self._new.popleft()
            self._sought[job_id] = until
        while self._sought:
            oldest = next(iter(self._sought))
            if self._sought[oldest] > now:
                break
            del self._sought[oldest]
        return [*islice(reversed(self._sought), _AT_ONCE)]

    def _look(self, wanted: list[bytes]) -> Collection[bytes]:
        """Ring if one of the jobs is there; return those that are."""
        try:
            found = self._place.existing(wanted)
        except ComandaError:  # only a hint: the workers' poll finds the job
            return ()
        if found:
            self._place.ring()
        return found

    def _plan(self, found: Collection[bytes], began: float) -> None:
        """Forget what was found, and choose the moment of the next look."""
        with self._changed:
            for job_id in found:
                self._sought.pop(job_id, None)
            self._looked = time.monotonic()
            self._rest = min(max(_BUSY[0], _SHARE * (self._looked - began)), _BUSY[1])
            self._pause = self._rest if found else min(self._pause * 2, _LONGEST)
            self._next = self._looked + self._pause
