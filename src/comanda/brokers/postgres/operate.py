"""What operators do to jobs: in steps, so that no transaction holds locks for long.

A step looks for jobs without locking them, then moves those that still stand where they stood. What moved meanwhile
is looked for again, so that no job slips by between two states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import structs

from ...errors import ConfigurationError
from ..codes import RUNNING
from ..records import LIVE_STATES, TERMINAL_STATES, JobFilter, State
from ..rules import actor, no_such_queue
from . import moves
from .connection import Row
from .names import Names
from .selection import SHOWN, STATE, Condition
from .statements import query
from .store import Session, Store
from .wire import EPOCH, Value, bool_, int2s, int4s, int8s, moment, moments, text

STEP = 1_000

_LOOKS = 5
"""How often a job is looked for again that had moved when it was reached for."""

_WAITING = (State.SCHEDULED, State.READY)

_SELECT = f"""
SELECT j.n, j.id, j.queue, j.rank::integer, coalesce(d.due, c.due, s.due, p.due, r.due, j.enqueued), {STATE} {SHOWN}
"""
_PAUSE = query(
    """
UPDATE {ns}.queues q SET paused = {paused}::boolean
WHERE name = {name}::text AND (shown OR EXISTS (SELECT FROM {ns}.counts c WHERE c.queue = q.n)) RETURNING n
""",
    *("paused", "name"),
)

Step = Callable[[Session, list[Row]], list[Row]]
"""Moves those rows (n, …) that it can; returns the numbers of those moved, in rows of one."""


class Operator:
    """Does what operators ask for on one store."""

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names

    def cancel(self, which: JobFilter) -> list[bytes]:
        """End waiting jobs, ask running ones to stop."""
        record = _record("cancel")

        def step(session: Session, jobs: list[Row]) -> list[Row]:
            done = session.run(moves.CANCEL, *given([job for job in jobs if job[5] != RUNNING]), *record)
            running = int8s([job[0] for job in jobs if job[5] == RUNNING])
            return done + session.run(moves.STOP, running, *record)

        return list(self._ids(which, LIVE_STATES, step))

    def retry(self, which: JobFilter) -> list[bytes]:
        """Make ended jobs ready again."""
        record = _record("retry")

        def step(session: Session, jobs: list[Row]) -> list[Row]:
            return session.run(moves.RETRY, *given(jobs), *record)

        return list(self._ids(which, TERMINAL_STATES, step))

    def reschedule(self, which: JobFilter, due: int) -> list[bytes]:
        """Give waiting jobs a new due time."""
        record = _record("reschedule")

        def step(session: Session, jobs: list[Row]) -> list[Row]:
            return session.run(moves.RESCHEDULE, *given(jobs), *record, moment(due))

        return list(self._ids(which, _WAITING, step))

    def delete(self, which: JobFilter) -> int:
        """Remove jobs that are not running."""

        def step(session: Session, jobs: list[Row]) -> list[Row]:
            return session.run(moves.DELETE, *given(jobs))

        return sum(1 for _ in self._ids(which, (*_WAITING, *TERMINAL_STATES), step))

    def pause(self, queue: str, *, paused: bool) -> None:
        """Stop or resume handing out jobs of one queue; raise ConfigurationError when there is none of this name."""
        if not self._store.run(_PAUSE, bool_(paused), text(queue)):
            raise ConfigurationError(no_such_queue(queue))

    def _ids(self, which: JobFilter, states: tuple[State, ...], step: Step) -> Iterator[bytes]:
        """Apply `step` to the matching jobs; yield the ids of those it moved."""
        wanted = tuple(state for state in states if which.states is None or state in which.states)
        for jobs in self._pages(structs.replace(which, states=wanted)):
            left = jobs
            for _ in range(_LOOKS):
                done = self._apply(step, left)
                yield from (job[1] for job in left if job[0] in done)
                missed = tuple(job[1] for job in left if job[0] not in done)
                if not missed:
                    break
                again = self._select(structs.replace(which, ids=missed, states=wanted), -1)
                left = [job for job in again if job not in left]
                if not left:
                    break

    def _apply(self, step: Step, jobs: list[Row]) -> set[int]:
        return {n for (n,) in self._store.transact(lambda session: step(session, jobs))}

    def _pages(self, which: JobFilter) -> Iterator[list[Row]]:
        """Yield matching jobs page by page, by key so that skipped ones cannot starve the rest (R20)."""
        after = -1
        while True:
            jobs = self._select(which, after)
            if jobs:
                yield jobs
            if len(jobs) < STEP:
                return
            after = jobs[-1][0]

    def _select(self, which: JobFilter, after: int) -> list[Row]:
        condition = Condition(self._names, which)
        condition.add(f"j.n > {after}")
        with self._store.read() as session:
            return session.run(f"{_SELECT} WHERE {condition.text} ORDER BY j.n LIMIT {STEP}", *condition.values)


def given(jobs: list[Row]) -> tuple[Value, ...]:
    """Return the parameters by which rows (n, id, queue, rank, due, …) are found where they stand."""
    return (
        int8s([job[0] for job in jobs]),
        int4s([job[2] for job in jobs]),
        int2s([job[3] for job in jobs]),
        moments([job[4] + EPOCH for job in jobs]),
    )


def _record(verb: str) -> tuple[Value, Value]:
    return text(verb), text(actor())
