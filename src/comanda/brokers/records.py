"""What travels between comanda and a broker: plain records, times in microseconds UTC, ids as 16 bytes.

`gc=False`: none of these can be part of a reference cycle, and the collector need not walk them (PY9).
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

from msgspec import Struct

MESSAGE = ""
"""The task name of a message: messages are jobs without a task, in queues of their own (design section 2)."""


class State(StrEnum):
    """Where a job stands. The last four are terminal."""

    SCHEDULED = "scheduled"
    READY = "ready"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        """True when the job has ended."""
        return self in _TERMINAL


_TERMINAL = frozenset({State.SUCCESSFUL, State.FAILED, State.CANCELLED, State.EXPIRED})
LIVE_STATES = (State.SCHEDULED, State.READY, State.RUNNING)
TERMINAL_STATES = tuple(state for state in State if state in _TERMINAL)


class NewJob(Struct, frozen=True, kw_only=True, gc=False):
    """A job to be stored. Due at `due`, or `delay` microseconds after the broker's now."""

    id: bytes
    task: str
    queue: str
    payload: bytes
    priority: int = 0
    due: int | None = None
    delay: int = 0
    expires: int | None = None
    unique_key: str | None = None
    options: bytes | None = None


class Enqueued(Struct, frozen=True, gc=False):
    """What became of one NewJob: `id` is the stored job's, an existing one's when `created` is False."""

    id: bytes
    created: bool = True
    error: Exception | None = None


class Claimed(Struct, gc=False):
    """A job handed to a worker. (n, fence, owner) prove that it still holds it."""

    n: int
    id: bytes
    fence: int
    attempt: int
    crashes: int
    task: str
    queue: str
    payload: bytes
    options: bytes | None
    enqueued_at: int


class Kind(IntEnum):
    """What a worker says about a job it held."""

    SUCCESS = 0
    RETRY = 1
    SNOOZE = 2
    FAILURE = 3
    CANCEL = 4
    RELEASE = 5


class Failure(Struct, frozen=True, gc=False):
    """Why an attempt did not succeed. `reason` is one word: exception, timeout, lost, cancelled, quarantined,
    undecodable, result or snoozed."""

    type: str
    message: str
    traceback: str = ""
    reason: str = "exception"


class Outcome(Struct, gc=False):
    """The end of one attempt. `delay` (microseconds) is the wait before the next one, for RETRY, SNOOZE, RELEASE."""

    job: Claimed
    kind: Kind
    started_at: int = 0
    finished_at: int = 0
    result: bytes | None = None
    failure: Failure | None = None
    delay: int = 0


class Demand(Struct, frozen=True, gc=False):
    """What a worker wants: at most `limit` jobs of `tasks`, from `queues` (None: all), in rotation unless `strict`."""

    limit: int
    tasks: frozenset[str]
    queues: tuple[str, ...] | None = None
    strict: bool = False


class Exchanged(Struct, gc=False):
    """The answer to `exchange`: outcomes that were refused because the job had moved on, and newly claimed jobs."""

    refused: list[Outcome]
    claimed: list[Claimed]


class WorkerInfo(Struct, frozen=True, kw_only=True, gc=False):
    """Who asks for an owner id. `kind` is child, consumer or embedded."""

    host: str
    pid: int
    version: str
    kind: str
    tasks: tuple[str, ...]
    queues: tuple[str, ...] | None = None


class WorkerRecord(Struct, kw_only=True, gc=False):
    """A worker as the store knows it; `ended_at` is None while it lives.

    `kind` is WorkerInfo's, or `elsewhere`: it worked for the store that jobs came from, and is named by their attempts.
    """

    owner: int
    host: str
    pid: int
    version: str
    kind: str
    started_at: int
    beat_at: int
    ended_at: int | None
    queues: tuple[str, ...] | None
    tasks: tuple[str, ...]


ELSEWHERE = "elsewhere"
"""The kind of a worker that never worked here: jobs that it ran were loaded from another store."""


class Beat(Struct, gc=False):
    """The answer to a heartbeat: owners that were declared dead, and (n, fence) of jobs that shall stop."""

    lost: list[int]
    stop: list[tuple[int, int]]


class Rescued(Struct, gc=False):
    """What one rescue did: dead owners, jobs handed back or quarantined, jobs parked or expired."""

    owners: list[int]
    jobs: int = 0
    parked: int = 0
    expired: int = 0


class AttemptRecord(Struct, kw_only=True, gc=False):
    """One execution of a job. `outcome` is running, successful, failed, timed_out, lost, cancelled or snoozed."""

    number: int
    outcome: str
    started_at: int
    finished_at: int | None
    host: str
    pid: int
    version: str
    failure: Failure | None = None


class OperationRecord(Struct, frozen=True, gc=False):
    """What an operator did to a job: cancel, retry or reschedule, when and as whom."""

    verb: str
    at: int
    actor: str


class JobRecord(Struct, kw_only=True, gc=False):
    """A job as the store knows it. `attempts` and `operations` are None unless asked for."""

    id: bytes
    task: str
    queue: str
    state: State
    priority: int
    due: int
    enqueued_at: int
    started_at: int | None
    finished_at: int | None
    attempt: int
    crashes: int
    fence: int
    version: int
    parked: bool
    payload: bytes
    result: bytes | None
    failure: Failure | None
    options: bytes | None
    unique_key: str | None
    expires: int | None
    stop_requested: bool
    attempts: list[AttemptRecord] | None = None
    operations: list[OperationRecord] | None = None


class JobFilter(Struct, frozen=True, kw_only=True, gc=False):
    """Which jobs: those that match every field given. An empty filter matches all jobs."""

    ids: tuple[bytes, ...] | None = None
    id_prefix: str | None = None
    states: tuple[State, ...] | None = None
    tasks: tuple[str, ...] | None = None
    queues: tuple[str, ...] | None = None
    since: int | None = None

    @property
    def is_empty(self) -> bool:
        """True when nothing is restricted."""
        return self == JobFilter()


class QueueRecord(Struct, kw_only=True, gc=False):
    """A queue with its counts by state. `oldest_ready_at` is when the next job fell due (µs), None without one."""

    name: str
    kind: str
    paused: bool
    counts: dict[State, int]
    oldest_ready_at: int | None
