"""The wake-up after somebody else's commit.

On a raw connection nobody tells when the caller commits, so a thread looks for the job's id after 1, 2, 4 … 100 ms,
for 5 s, and then leaves it to the workers' poll (design section 6).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from typing import Protocol

from .errors import ComandaError
from .joining import join

_FIRST, _LONGEST, _TOTAL = 0.001, 0.1, 5.0

_BUSY = 0.01
"""Seconds that a job may wait for the next look when others are sought already: at 2,000 commits a second, a look for
each of them would cost as much as they do."""

_AT_ONCE = 100
"""Ids in one look at most, the latest: a transaction may hold thousands of jobs, and one of them tells of all."""


class Place(Protocol):
    """Where the jobs are to appear: a broker or an outbox."""

    def states(self, ids: Sequence[bytes]) -> Collection[bytes]:
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
        self._sought: dict[bytes, float] = {}
        self._pause = _FIRST
        self._thread: threading.Thread | None = None

    def expect(self, job_id: bytes) -> None:
        """Look for this job from now on."""
        with self._changed:
            self._sought[job_id] = time.monotonic() + _TOTAL
            if self._pause > _BUSY:
                self._pause = _FIRST
                self._changed.notify()
            if self._thread is None:
                self._pause = _FIRST
                self._thread = threading.Thread(target=self._serve, name="comanda-lookout", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        with self._changed:
            self._sought.clear()
            self._changed.notify()
            thread = self._thread
        join(thread)

    def forget(self) -> None:
        """After a fork, in the child."""
        self._reset()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(self._pause)
                self._pause = min(self._pause * 2, _LONGEST)
                now = time.monotonic()
                self._sought = {job_id: until for job_id, until in self._sought.items() if until > now}
                if not self._sought:
                    self._thread = None
                    return
                wanted = list(self._sought)[-_AT_ONCE:]
            self._look(wanted)

    def _look(self, wanted: list[bytes]) -> None:
        try:
            found = self._place.states(wanted)
        except ComandaError:  # only a hint: the workers' poll finds the job
            return
        if found:
            self._place.ring()
            with self._changed:
                for job_id in found:
                    self._sought.pop(job_id, None)
