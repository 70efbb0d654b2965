"""What operators do to jobs: in steps, so that no transaction holds the write lock for long."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import structs

from ...errors import ConfigurationError
from .. import codes
from ..records import LIVE_STATES, TERMINAL_STATES, JobFilter, State
from ..rules import actor, no_such_queue
from .counts import Moves
from .exchange import batch_of
from .selection import condition
from .session import Session
from .store import Store

STEP = 1_000

_WAITING = (State.SCHEDULED, State.READY)

_CANCEL = (
    "UPDATE {ns}_jobs SET state = 5, version = version + 1, finished = ? WHERE n IN (SELECT value FROM json_each(?))"
)
_STOP = "UPDATE {ns}_jobs SET stop = 1, version = version + 1 WHERE n IN (SELECT value FROM json_each(?))"
# OR IGNORE: a unique key may be held by a younger job by now; that job stays as it is.
_RETRY = """
UPDATE OR IGNORE {ns}_jobs SET state = 1, version = version + 1, due = ?, attempt = 0, crashes = 0, owner = NULL,
       started = NULL, finished = NULL, result = NULL, stop = 0, expires = NULL
WHERE n = ?
"""
_RESCHEDULE = "UPDATE {ns}_jobs SET state = ?, version = version + 1, due = ? WHERE n = ?"
_DELETE = "DELETE FROM {ns}_jobs WHERE n IN (SELECT value FROM json_each(?))"
_DELETE_ATTEMPTS = "DELETE FROM {ns}_attempts WHERE job IN (SELECT value FROM json_each(?))"
_DELETE_OPERATIONS = "DELETE FROM {ns}_operations WHERE job IN (SELECT value FROM json_each(?))"
_RECORD = "INSERT INTO {ns}_operations (job, at, verb, actor) VALUES (?, ?, ?, ?)"
_PAUSE = "UPDATE {ns}_queues SET paused = ? WHERE name = ?"

Selected = tuple[int, bytes, int, int]
"""n, id, queue, state code."""


def cancel(store: Store, which: JobFilter) -> list[bytes]:
    """End waiting jobs, ask running ones to stop."""
    now = store.clock.now()

    def step(session: Session, jobs: list[Selected], moves: Moves) -> list[bytes]:
        waiting = [job for job in jobs if job[3] != codes.RUNNING]
        session.run(_CANCEL, (now, batch_of([n for n, *_ in waiting])))
        session.run(_STOP, (batch_of([n for n, _, _, code in jobs if code == codes.RUNNING]),))
        for _, _, queue, code in waiting:
            moves.move(queue, code, codes.CANCELLED)
        _record(session, jobs, "cancel", now)
        return [id_ for _, id_, _, _ in jobs]

    return [id_ for done in _in_steps(store, which, LIVE_STATES, step) for id_ in done]


def retry(store: Store, which: JobFilter) -> list[bytes]:
    """Make ended jobs ready again."""
    now = store.clock.now()

    def step(session: Session, jobs: list[Selected], moves: Moves) -> list[bytes]:
        done = [job for job in jobs if session.many(_RETRY, ((now, job[0]),))]
        for _, _, queue, code in done:
            moves.move(queue, code, codes.READY)
        _record(session, done, "retry", now)
        return [id_ for _, id_, _, _ in done]

    return [id_ for done in _in_steps(store, which, TERMINAL_STATES, step) for id_ in done]


def reschedule(store: Store, which: JobFilter, due: int) -> list[bytes]:
    """Give waiting jobs a new due time."""
    now = store.clock.now()
    after = codes.SCHEDULED if due > now else codes.READY

    def step(session: Session, jobs: list[Selected], moves: Moves) -> list[bytes]:
        for n, _, queue, code in jobs:
            session.run(_RESCHEDULE, (after, due, n))
            moves.move(queue, code, after)
        _record(session, jobs, "reschedule", now)
        return [id_ for _, id_, _, _ in jobs]

    return [id_ for done in _in_steps(store, which, _WAITING, step) for id_ in done]


def delete(store: Store, which: JobFilter) -> int:
    """Remove jobs that are not running."""

    def step(session: Session, jobs: list[Selected], moves: Moves) -> list[bytes]:
        remove(session, [(n, queue, code) for n, _, queue, code in jobs], moves)
        return [id_ for _, id_, _, _ in jobs]

    return sum(len(done) for done in _in_steps(store, which, (*_WAITING, *TERMINAL_STATES), step))


def remove(session: Session, jobs: list[tuple[int, int, int]], moves: Moves) -> None:
    """Delete rows (n, queue, state code) with all that belongs to them."""
    numbers = batch_of([n for n, _, _ in jobs])
    for statement in (_DELETE_ATTEMPTS, _DELETE_OPERATIONS, _DELETE):
        session.run(statement, (numbers,))
    for _, queue, code in jobs:
        moves.add(queue, code, -1)


def pause(store: Store, queue: str, *, paused: bool) -> None:
    """Stop or resume handing out jobs of one queue; raise ConfigurationError when there is none of this name."""
    with store.write() as session:
        if not session.many(_PAUSE, ((paused, queue),)):
            raise ConfigurationError(no_such_queue(queue))


def _in_steps(
    store: Store,
    which: JobFilter,
    states: tuple[State, ...],
    step: Callable[[Session, list[Selected], Moves], list[bytes]],
) -> Iterator[list[bytes]]:
    """Select matching jobs page by page, by key so that skipped ones cannot starve the rest (R20), and apply `step`."""
    wanted = tuple(state for state in states if which.states is None or state in which.states)
    after = -1
    while True:
        with store.write() as session:
            jobs = _select(session, which, wanted, after)
            moves = Moves(session)
            done = step(session, jobs, moves) if jobs else []
            moves.write(session)
        yield done
        if len(jobs) < STEP:
            return
        after = jobs[-1][0]


def _select(session: Session, which: JobFilter, states: tuple[State, ...], after: int) -> list[Selected]:
    term, values = condition(session, structs.replace(which, states=states))
    text = f"SELECT n, id, queue, state FROM {{ns}}_jobs WHERE {term} AND n > ? ORDER BY n LIMIT {STEP}"
    return [(n, id_, queue, state) for n, id_, queue, state in session.run(text, (*values, after))]


def _record(session: Session, jobs: list[Selected], verb: str, now: int) -> None:
    who = actor()
    session.many(_RECORD, [(n, now, verb, who) for n, _, _, _ in jobs])
