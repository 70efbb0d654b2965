"""The jobs of one process, and every index over them. Not thread-safe: the broker holds its lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct, field

from ..records import AttemptRecord, OperationRecord, State
from .line import Line

_WAITING = (State.SCHEDULED, State.READY)


class Row(Struct, kw_only=True, eq=False):
    """A job. `parked`: ready, but held back because no worker knows its task."""

    n: int
    id: bytes
    task: str
    queue: str
    payload: bytes
    priority: int
    due: int
    enqueued_at: int
    expires: int | None
    unique_key: str | None
    options: bytes | None
    state: State
    parked: bool = False
    fence: int = 0
    attempt: int = 0
    crashes: int = 0
    version: int = 0
    stop: bool = False
    owner: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    result: bytes | None = None
    attempts: list[AttemptRecord] = field(default_factory=list)
    operations: list[OperationRecord] = field(default_factory=list)


class Queue(Struct, eq=False):
    """A named line, of jobs or of messages."""

    name: str
    messages: bool
    paused: bool = False


class Table:
    """Rows by all that they are looked up by. Whoever changes a row's state, due time or owner calls `move`."""

    def __init__(self) -> None:
        self.queues: dict[str, Queue] = {}
        self.counts: Counter[tuple[str, State]] = Counter()
        self.scheduled = Line()
        self.expiring = Line()
        self.successful = Line()
        self.ended_badly = Line()
        self.parked: dict[str, dict[int, Row]] = {}
        self._rows: dict[int, Row] = {}
        self._by_id: dict[bytes, Row] = {}
        self._holders: dict[str, Row] = {}
        self._held: dict[int | None, dict[int, Row]] = {}
        self._ready: dict[str, dict[str, Line]] = {}
        self._last = 0

    def __iter__(self) -> Iterator[Row]:
        """Walk over all rows in the order of their enqueue."""
        return iter(self._rows.values())

    def next_n(self) -> int:
        """Return a row id that was never used."""
        self._last += 1
        return self._last

    def row(self, n: int) -> Row | None:
        """Return the row with this id inside."""
        return self._rows.get(n)

    def find(self, job_id: bytes) -> Row | None:
        """Return the row with this public id."""
        return self._by_id.get(job_id)

    def holder(self, unique_key: str | None) -> Row | None:
        """Return the unfinished job that holds a unique key."""
        return None if unique_key is None else self._holders.get(unique_key)

    def held_by(self, owner: int) -> list[Row]:
        """Return the jobs that an owner runs."""
        return list(self._held.get(owner, {}).values())

    def ready(self, queue: str, tasks: Iterable[str] | None = None) -> list[Line]:
        """Return the ready jobs of one queue, a line for each task: of all, or of `tasks`."""
        lines = self._ready.get(queue, {})
        if tasks is None:
            return list(lines.values())
        return [lines[task] for task in tasks if task in lines]

    def ready_tasks(self) -> set[str]:
        """Return the tasks that have ready jobs."""
        return {task for lines in self._ready.values() for task, line in lines.items() if line}

    def ready_rows(self, task: str) -> list[Row]:
        """Return the ready jobs of one task."""
        lines = [lines[task] for lines in self._ready.values() if task in lines]
        return [self._rows[n] for line in lines for n in line]

    def insert(self, row: Row) -> None:
        """Add a row."""
        self._rows[row.n] = self._by_id[row.id] = row
        self._enter(row)

    def remove(self, row: Row) -> None:
        """Take a row out for good."""
        self._leave(row)
        del self._rows[row.n], self._by_id[row.id]

    def move(
        self, row: Row, state: State, *, parked: bool = False, owner: int | None = None, due: int | None = None
    ) -> None:
        """Bring a row into a state: the one way in which indexes and counts change. Raises its version.

        `owner` is who runs it now; a successful job remembers who did.
        """
        self._leave(row)
        row.state, row.parked = state, parked
        row.owner = row.owner if state is State.SUCCESSFUL else owner
        row.due = row.due if due is None else due
        row.version += 1
        self._enter(row)

    def _enter(self, row: Row) -> None:
        self.counts[row.queue, row.state] += 1
        if row.state is State.RUNNING:
            self._held.setdefault(row.owner, {})[row.n] = row
        elif row.state in _WAITING:
            self._enter_line(row)
        else:
            self._ended(row).add(row.n, (row.finished_at or 0,))
        if row.unique_key is not None and not row.state.is_terminal:
            self._holders[row.unique_key] = row

    def _enter_line(self, row: Row) -> None:
        if row.expires is not None:
            self.expiring.add(row.n, (row.expires,))
        if row.state is State.SCHEDULED:
            self.scheduled.add(row.n, (row.due,))
        elif row.parked:
            self.parked.setdefault(row.task, {})[row.n] = row
        else:
            self._ready.setdefault(row.queue, {}).setdefault(row.task, Line()).add(row.n, (-row.priority, row.due))

    def _leave(self, row: Row) -> None:
        self.counts[row.queue, row.state] -= 1
        if row.state is State.RUNNING:
            held = self._held[row.owner]
            del held[row.n]
            if not held:
                del self._held[row.owner]
        elif row.state in _WAITING:
            self._leave_line(row)
        else:
            self._ended(row).discard(row.n)
        if row.unique_key is not None and self._holders.get(row.unique_key) is row:
            del self._holders[row.unique_key]

    def _leave_line(self, row: Row) -> None:
        if row.expires is not None:
            self.expiring.discard(row.n)
        if row.state is State.SCHEDULED:
            self.scheduled.discard(row.n)
        elif row.parked:
            del self.parked[row.task][row.n]
        else:
            self._ready[row.queue][row.task].discard(row.n)

    def _ended(self, row: Row) -> Line:
        return self.successful if row.state is State.SUCCESSFUL else self.ended_badly
