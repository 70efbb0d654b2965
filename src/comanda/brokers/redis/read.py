"""Reading jobs, queues and counts."""

from __future__ import annotations

from collections.abc import Sequence

from ..records import JobFilter, JobRecord, QueueRecord, State
from .liveness import who
from .records import STATES, Stored
from .selection import STEP, Selection
from .store import Store


def get(store: Store, ids: Sequence[bytes], *, attempts: bool) -> list[JobRecord | None]:
    """Return the jobs in the order of `ids`."""
    found = _stored(store, ids, attempts=attempts)
    if not attempts:
        return [None if job is None else job.record() for job in found]
    workers = who(store) if any(job is not None and job.owners() for job in found) else {}
    return [None if job is None else job.with_history(workers) for job in found]


def _stored(store: Store, ids: Sequence[bytes], *, attempts: bool) -> list[Stored | None]:
    found: list[Stored | None] = []
    for first in range(0, len(ids), STEP):
        step = ids[first : first + STEP]
        parts = store.read("get", [int(attempts), *step])
        for at, id_ in enumerate(step):
            blob, *rest = parts[4 * at : 4 * at + 4]
            found.append(Stored(id_, blob, *rest) if blob else None)
    return found


def find(store: Store, which: JobFilter, limit: int, after: bytes | None, *, oldest_first: bool) -> list[JobRecord]:
    """Return one page by id."""
    selection = Selection(store, which, oldest_first=oldest_first)
    return [
        Stored(*found[at : at + 4]).record()
        for found in selection.steps(limit, after, whole=True)
        for at in range(0, len(found), 4)
    ]


def states(store: Store, ids: Sequence[bytes]) -> dict[bytes, tuple[State, int]]:
    """Return state and version of the jobs that exist."""
    found: dict[bytes, tuple[State, int]] = {}
    for first in range(0, len(ids), STEP):
        step = ids[first : first + STEP]
        parts = store.read("states", list(step))
        for id_, code, version in zip(step, parts[::2], parts[1::2], strict=True):
            if code:
                found[id_] = (STATES[code.decode()], version)
    return found


def counts(store: Store) -> dict[tuple[str, State], int]:
    """Return the jobs by queue and state."""
    return _counts(store.read("counts", []))


def _counts(found: list[bytes]) -> dict[tuple[str, State], int]:
    fields = ((field.decode(), int(jobs)) for field, jobs in zip(found[::2], found[1::2], strict=True))
    return {(field[1:], STATES[field[0]]): jobs for field, jobs in fields}


def queues(store: Store) -> list[QueueRecord]:
    """Return every queue by name."""
    found, counted = store.read("queues", [])
    sums = _counts(counted)
    made = [
        _queue(name.decode(), kind, oldest, sums)
        for name, kind, oldest in zip(found[::3], found[1::3], found[2::3], strict=True)
    ]
    return sorted(made, key=lambda queue: queue.name)


def _queue(name: str, kind: bytes, oldest: bytes | int, sums: dict[tuple[str, State], int]) -> QueueRecord:
    return QueueRecord(
        name=name,
        kind="messages" if kind.startswith(b"m") else "jobs",
        paused=kind.endswith(b"1"),
        counts={state: sums.get((name, state), 0) for state in State},
        oldest_ready_at=None if isinstance(oldest, bytes) else oldest,
    )
