"""Who works, who is dead, and what becomes of a dead worker's jobs (guarantees 4 and 5)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec
from msgspec import Struct

from ..base import CRASH_LIMIT, StartedOf
from ..records import Beat, Rescued, WorkerInfo, WorkerRecord
from ..rules import worker_lost
from ..silence import Silence
from . import records
from .records import Who
from .store import Argument, Store

STEP = 500
"""Jobs that one script moves at most."""


class _Worker(Struct, array_like=True, frozen=True, gc=False):
    """What is shown of a worker."""

    started: int
    host: str
    pid: int
    version: str
    kind: str
    queues: tuple[str, ...] | None
    tasks: tuple[str, ...]


_worker = msgspec.msgpack.Decoder(_Worker).decode
_FAILURES = [records.encode(worker_lost(crashes)) for crashes in range(1, CRASH_LIMIT + 1)]


class Liveness:
    """Registers, renews and buries owners on one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._silence = Silence()

    def register(self, worker: WorkerInfo) -> int:
        """Add an owner; then, that nobody parks them again, take the mark off the jobs of its tasks."""
        shown = _Worker(0, worker.host, worker.pid, worker.version, worker.kind, worker.queues, worker.tasks)
        rest = records.encode(shown)[2:]  # behind the array's head and the 0: the script puts its time there
        tasks = records.encode(worker.tasks)
        owner = int(self._store.write("register", [self._store.now(), rest]))
        self._in_steps(lambda: int(self._store.write("unpark", [tasks])))
        return owner

    def beat(self, owners: Sequence[int]) -> Beat:
        """Renew owners."""
        lost, stops = self._store.write("beat", [self._store.now(), *owners])
        return Beat(lost, list(zip(stops[::2], stops[1::2], strict=True)))

    def end(self, owner: int, started: Collection[int] | None, *, silent_at: int | None = None) -> int | None:
        """Bury an owner and hand its jobs back; return how many.

        With `silent_at` only if its beat still stands there: else None.
        """
        suspects = records.encode(None if started is None else list(started))
        beat: Argument = "" if silent_at is None else silent_at
        jobs, left = 0, 1
        while left:
            arguments = [self._store.now(), owner, beat, CRASH_LIMIT, suspects, *_FAILURES]
            done, left = self._store.write("bury", arguments)
            if done < 0:
                return None
            jobs += done
            beat = ""  # dead since the first step
        return jobs

    def rescue(self, lease: float, started: StartedOf) -> Rescued:
        """Bury the silent, finish what another rescuer left half done, park what nobody knows, expire the overdue."""
        done = Rescued([])
        for owner, beat in self._silent(lease):
            jobs = self.end(owner, started(owner), silent_at=beat)
            if jobs is not None:
                done.jobs += jobs
                done.owners.append(owner)
        for owner in map(int, self._store.read("dying", [])):
            done.jobs += self.end(owner, started(owner)) or 0
        done.parked = self._in_steps(lambda: int(self._store.write("park", [])))
        done.expired = self._in_steps(lambda: int(self._store.write("expire", [self._store.now()])))
        return done

    def _silent(self, lease: float) -> list[tuple[int, int]]:
        began = self._store.monotonic()
        found = self._store.read("living", [])
        beats = {int(owner): int(beat) for owner, beat in zip(found[::2], found[1::2], strict=True)}
        return self._silence.judge(beats, began, self._store.monotonic(), lease)

    @staticmethod
    def _in_steps(step: Callable[[], int]) -> int:
        """Repeat a step until it finds less than it may move; return the sum."""
        done = found = step()
        while found == STEP:
            found = step()
            done += found
        return done

    def workers(self) -> list[WorkerRecord]:
        """Return all owners, living ones first, newest first."""
        found = self._store.read("workers", [])
        made = [_shown(*found[at : at + 4]) for at in range(0, len(found), 4)]
        return sorted(made, key=lambda worker: (worker.ended_at is not None, -worker.owner))


def who(store: Store) -> dict[int, Who]:
    """Return host, pid and version of every owner the store remembers."""
    found = store.read("workers", [])
    workers = ((found[at], _decode(found[at + 1])) for at in range(0, len(found), 4))
    return {owner: (worker.host, worker.pid, worker.version) for owner, worker in workers}


def _decode(text: bytes) -> _Worker:
    return _worker(b"\x97" + text)


def _shown(owner: int, text: bytes, beat_at: bytes, ended_at: bytes) -> WorkerRecord:
    worker = _decode(text)
    return WorkerRecord(
        owner=owner,
        host=worker.host,
        pid=worker.pid,
        version=worker.version,
        kind=worker.kind,
        started_at=worker.started,
        beat_at=int(beat_at or worker.started),
        ended_at=int(ended_at) if ended_at else None,
        queues=worker.queues,
        tasks=worker.tasks,
    )
