"""Storing new jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...errors import ConfigurationError
from .. import codes
from ..records import MESSAGE, Enqueued, NewJob
from ..statements import Statement
from .connection import Connection, code_of
from .counts import catch_up
from .names import Names
from .session import Session

_COLUMNS = "n, id, task, queue, rank, state, due, enqueued, expires, unique_key, options, payload"
_ID, _KEY = 0, 8
"""Where these stand among the parameters."""

# The number of the last job there is or was: whoever deletes jobs has counted them before (see counts.py).
LAST = """max(
    coalesce((SELECT max(n) FROM {ns}_jobs), 0), (SELECT jobs FROM {ns}_counts WHERE queue = 0 AND state = 0)
)"""
_VALUES = "?,?,?,?,?,?,?,?,?,?,?"
_INSERT = f"INSERT INTO {{ns}}_jobs ({_COLUMNS}) VALUES ({LAST} + 1, {_VALUES}) ON CONFLICT DO NOTHING"
_INSERT_AT = f"INSERT INTO {{ns}}_jobs ({_COLUMNS}) VALUES (?, {_VALUES}) ON CONFLICT DO NOTHING"

FEW = 16
"""Jobs that go by one statement. Each number of rows is a statement of its own to be kept prepared."""

_INSERT_FEW = [
    f"INSERT INTO {{ns}}_jobs ({_COLUMNS}) VALUES "
    + ",".join(f"({LAST} + {row}, {_VALUES})" for row in range(1, rows + 1))
    for rows in range(FEW + 1)
]
_CONSTRAINT = 19

_EXISTS = "SELECT 1 FROM {ns}_jobs WHERE id = ?"
_HOLDER = "SELECT id FROM {ns}_jobs WHERE unique_key = ? AND state NOT BETWEEN 3 AND 6"

# The same for a connection that is not ours: names are looked up in the statement, since a cached number might come
# from a transaction that was rolled back.
_FOREIGN_TASK = "INSERT INTO {ns}_tasks (name) VALUES (?) ON CONFLICT DO NOTHING"
_FOREIGN_QUEUE = "INSERT INTO {ns}_queues (name, messages) VALUES (?, ?) ON CONFLICT DO NOTHING"
_FOREIGN_INSERT = f"""
INSERT INTO {{ns}}_jobs ({_COLUMNS})
VALUES ({LAST} + 1, ?, (SELECT n FROM {{ns}}_tasks WHERE name = ?),
        (SELECT n FROM {{ns}}_queues WHERE name = ? AND messages = ?), ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""
# changes() is that of the insert before: whether the job is new.
_FOREIGN_STORED = """
SELECT coalesce(
    (SELECT id FROM {ns}_jobs WHERE id = ?),
    (SELECT id FROM {ns}_jobs WHERE unique_key = ? AND state NOT BETWEEN 3 AND 6)
), changes()
"""

Parameters = tuple[Any, ...]


def store_few(
    connection: Connection, text: Callable[[str], str], names: Names, jobs: Sequence[NewJob], now: int
) -> list[Enqueued] | None:
    """Insert a few jobs by one statement outside a transaction; None when they need `store`: then nothing was stored.

    They do when they are many, have a unique key, name a task or a queue for the first time, or an id exists already.
    """
    rows: list[Any] = []
    for job in jobs:
        known = names.known(job.task, job.queue)
        if known is None or job.unique_key is not None:
            return None
        rows += _parameters(job, known[0], known[1], now)
    try:
        connection.raw.execute(text(_INSERT_FEW[len(jobs)]), rows)  # no rows come back, so none are fetched
    except Exception as error:
        if code_of(error) == _CONSTRAINT:
            return None
        raise
    return [Enqueued(job.id) for job in jobs]


def store(session: Session, names: Names, jobs: Sequence[NewJob], now: int) -> list[Enqueued]:
    """Insert a batch in its order and count it; one item's conflict or error leaves the others alone (R47)."""
    batch = Batch(session, names, now)
    for job in jobs:
        batch.add(job)
    return batch.finish()


class Batch:
    """Jobs on their way into the table: those without a unique key go in runs, one statement for each run."""

    def __init__(self, session: Session, names: Names, now: int) -> None:
        self._session = session
        self._names = names
        self._now = now
        self._run: list[Parameters] = []
        self._answers: list[Enqueued] = []

    def add(self, job: NewJob) -> None:
        """Insert one job, now or with the run it belongs to."""
        try:
            queue = self._names.queue_id(self._session, job.queue, job.task)
        except ConfigurationError as error:
            self._insert_run()
            self._answers.append(Enqueued(job.id, created=False, error=error))
            return
        row = _parameters(job, self._names.task_id(self._session, job.task), queue, self._now)
        if job.unique_key is None:
            self._run.append(row)
        else:
            self._insert_run()
            self._insert_one(row)

    def finish(self) -> list[Enqueued]:
        """Insert what is left and count all; return an answer for each job in the order of `add`."""
        self._insert_run()
        catch_up(self._session)
        return self._answers

    def _insert_run(self) -> None:
        """Insert the gathered jobs at once; go one by one only when an id existed already."""
        rows, self._run = self._run, []
        if len(rows) < 2:
            for row in rows:
                self._insert_one(row)
            return
        self._session.run("SAVEPOINT run")
        first = self._session.run(f"SELECT {LAST} + 1")[0][0]
        whole = self._session.many(_INSERT_AT, [(n, *row) for n, row in enumerate(rows, first)]) == len(rows)
        if not whole:
            self._session.run("ROLLBACK TO run")
            for row in rows:
                self._insert_one(row)
        self._session.run("RELEASE run")
        if whole:
            self._answers += [Enqueued(row[_ID]) for row in rows]

    def _insert_one(self, row: Parameters) -> None:
        if self._session.many(_INSERT, (row,)):
            self._answers.append(Enqueued(row[_ID]))
            return
        holder = row[_ID]
        if row[_KEY] is not None and not self._session.run(_EXISTS, (row[_ID],)):
            holder = self._session.run(_HOLDER, (row[_KEY],))[0][0]
        self._answers.append(Enqueued(holder, created=False))


def _parameters(job: NewJob, task: object, queue: object, now: int) -> Parameters:
    due = job.due if job.due is not None else now + job.delay
    state = codes.SCHEDULED if due > now else codes.READY
    rank, key = -job.priority, job.unique_key
    return (job.id, task, queue, rank, state, due, now, job.expires, key, job.options, job.payload)


def foreign_statements(text: Callable[[str], str], job: NewJob, now: int) -> list[Statement]:
    """Return the enqueue of one job for the caller's own connection; a queue of the other kind fails its NOT NULL."""
    id_, task, queue, *rest = _parameters(job, job.task, job.queue, now)
    messages = job.task == MESSAGE
    return [
        Statement(text(_FOREIGN_TASK), (task,)),
        Statement(text(_FOREIGN_QUEUE), (queue, messages)),
        Statement(text(_FOREIGN_INSERT), (id_, task, queue, messages, *rest)),
        Statement(text(_FOREIGN_STORED), (job.id, job.unique_key)),
    ]
