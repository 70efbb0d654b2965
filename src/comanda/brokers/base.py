"""The broker contract (design section 6): few verbs, all in batches, plain synchronous objects.

A broker moves data and nothing else: policies are decided before (`comanda.outcome`), waiting and batching around it
(`comanda.producer`). Every implementation passes `comanda.testing.conformance`, which is shipped for third parties.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from ..errors import NotSupported
from .completion import AsyncCompletion, Completion
from .records import (
    Beat,
    Claimed,
    Demand,
    Enqueued,
    Exchanged,
    JobFilter,
    JobRecord,
    NewJob,
    Outcome,
    QueueRecord,
    Rescued,
    State,
    WorkerInfo,
    WorkerRecord,
)
from .statements import Statement

CRASH_LIMIT = 3
"""A job whose worker died this often under it is quarantined (guarantee 5, R16)."""

PROMOTION_STEP = 500
"""Due jobs that one claim makes ready at most."""

ENQUEUE_LIMIT = 10_000
"""Jobs in one transaction at most (design section 3)."""

_SERVER_TOOLS = (
    "use the server's (PostgreSQL: pg_dump and pg_restore; Redis: BGSAVE or the append-only file), "
    "or comanda db export and import"
)


StartedOf = Callable[[int], Collection[int] | None]
"""Owner id to the row ids that its process was executing; None when nobody knows."""


class Capability(StrEnum):
    """What a broker may or may not be able to do; the rest of the contract is owed by all."""

    DURABLE = "durable"
    CROSS_PROCESS = "cross_process"
    TRANSACTIONAL_ENQUEUE = "transactional_enqueue"
    BACKUP = "backup"
    TRANSACTIONAL_COMPLETION = "transactional_completion"
    ASYNC_COMPLETION = "async_completion"
    """Transactional completion for coroutines as well."""


class Broker(ABC):
    """Where jobs live and are handed out.

    Thread-safe. Every verb has a deadline and raises BrokerUnavailable or BrokerTimeout, never a driver's exception.
    """

    capabilities: ClassVar[frozenset[Capability]]

    @abstractmethod
    def open(self) -> None:
        """Connect, check the store and bring its schema up to date. Idempotent; every other verb does it by need."""

    @abstractmethod
    def close(self) -> None:
        """Let go of every connection, socket and file. Idempotent; the next verb opens again."""

    @abstractmethod
    def forget(self) -> None:
        """After a fork, in the child: drop everything inherited without closing it (R23).

        What lives in the process alone stays with the parent: no job may run in both.
        """

    # -- producing ----------------------------------------------------------------------------------------------

    @abstractmethod
    def enqueue(self, jobs: Sequence[NewJob]) -> list[Enqueued]:
        """Store a batch in one durable transaction; answer for each job, in order.

        A job whose id exists is answered with `created=False`; so is one whose unique key an unfinished job holds,
        with that job's id. What is wrong with one item (a queue of the other kind) is that item's `error`; the
        others are stored.
        """

    def enqueue_statements(self, job: NewJob) -> list[Statement]:
        """Return the enqueue of one job as statements for the caller's own connection, to be run in order.

        The one row of the last one holds the id of the stored job, and whether it is new: it is an existing job's when
        this id exists already or the unique key is held.
        """
        raise NotSupported(f"{type(self).__name__} cannot enqueue in the caller's transaction")

    def transaction(self) -> AbstractContextManager[Any]:
        """Open a write transaction on the store's own file for application data; yields the driver's connection."""
        raise NotSupported(f"{type(self).__name__} has no transactions that an application could share")

    # -- working ------------------------------------------------------------------------------------------------

    @abstractmethod
    def register(self, worker: WorkerInfo) -> int:
        """Make a new owner id, never used before; unpark the jobs of its tasks."""

    @abstractmethod
    def deregister(self, owner: int) -> None:
        """End an owner in order: what it still holds goes back uncharged."""

    @abstractmethod
    def exchange(self, owner: int, outcomes: Sequence[Outcome], demand: Demand) -> Exchanged:
        """Settle the last batch and claim the next in one round trip: the hot path.

        Claiming is atomic: each job gets a new fence and stays in the store. Due scheduled jobs are made ready first
        (at most 500); jobs whose expiry has passed become `expired` instead of being claimed. Order inside one queue:
        priority, due time, enqueue order. An owner that is unknown or declared dead claims nothing: it would be rescued
        by nobody.

        Outcomes count only while (job, fence, owner) still hold; the others are returned. A released job without a
        delay keeps its place in the line. One that was asked to stop and comes back instead of ending is cancelled. A
        claim without outcomes may commit with less durability than an enqueue: at worst a job runs again.
        """

    def claim(self, owner: int, demand: Demand) -> list[Claimed]:
        """Take due jobs."""
        return self.exchange(owner, (), demand).claimed

    def settle(self, owner: int, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Write outcomes durably; return those refused because the job had moved on."""
        return self.exchange(owner, outcomes, Demand(limit=0, tasks=frozenset())).refused

    def completion(self) -> Completion:
        """Return a connection of its own on which tasks write and complete in one transaction (guarantee 6)."""
        raise NotSupported(f"{type(self).__name__} cannot complete a job in the task's own transaction")

    def acompletion(self) -> AsyncCompletion:
        """The same for coroutines."""
        raise NotSupported(f"{type(self).__name__} cannot complete a job in a coroutine's own transaction")

    @abstractmethod
    def heartbeat(self, owners: Sequence[int]) -> Beat:
        """Renew the leases of `owners`; say which are dead already and which of their jobs shall stop."""

    @abstractmethod
    def release(self, owner: int, started: Collection[int] | None) -> int:
        """Declare `owner` dead and hand its jobs back at once; return how many. Idempotent.

        `started` are the row ids that were being executed: each is charged one crash, recorded as a lost attempt and
        quarantined at CRASH_LIMIT; the rest go back uncharged. None: nobody knows, all are charged. Those that were
        asked to stop are cancelled.
        """

    @abstractmethod
    def rescue(self, lease: float, started: StartedOf) -> Rescued:
        """Release the jobs of owners that have been silent for `lease` seconds, re-checked inside the update.

        Where the store has no clock of its own, silence begins with the first look of this process at an owner's beat.
        `started(owner)` says which of their jobs were being executed, as for `release`. Also parks jobs whose task
        no live worker knows and expires overdue ones. Every worker calls it, every 2 s. Owners of this host that are
        gone by the sign of their lock file are found by `comanda.worker.presence` and handed to `release`.
        """

    # -- operating ----------------------------------------------------------------------------------------------

    @abstractmethod
    def cancel(self, which: JobFilter) -> list[bytes]:
        """End waiting jobs as `cancelled` and ask running ones to stop; return the ids of both. It is recorded."""

    @abstractmethod
    def retry(self, which: JobFilter) -> list[bytes]:
        """Make terminal jobs ready again with a fresh budget of attempts; record it; return their ids.

        A job whose unique key another unfinished job holds stays as it is.
        """

    @abstractmethod
    def reschedule(self, which: JobFilter, due: int) -> list[bytes]:
        """Give waiting jobs a new due time; record it; return their ids."""

    @abstractmethod
    def delete(self, which: JobFilter) -> int:
        """Remove jobs that are not running; return how many."""

    @abstractmethod
    def pause(self, queue: str) -> None:
        """Hand out nothing more from this queue; raise ConfigurationError when nobody has used it yet."""

    @abstractmethod
    def resume(self, queue: str) -> None:
        """Hand out jobs from this queue again; raise ConfigurationError when nobody has used it yet."""

    # -- reading ------------------------------------------------------------------------------------------------

    @abstractmethod
    def get(self, ids: Sequence[bytes], *, attempts: bool = False) -> list[JobRecord | None]:
        """Return the jobs in the order of `ids`, None where there is none."""

    @abstractmethod
    def find(
        self, which: JobFilter, *, limit: int = 100, after: bytes | None = None, oldest_first: bool = False
    ) -> list[JobRecord]:
        """Return one page of matching jobs by id, newest first unless `oldest_first`; it begins behind `after`."""

    @abstractmethod
    def counts(self) -> dict[tuple[str, State], int]:
        """Return how many jobs each queue holds in each state, without scanning jobs."""

    @abstractmethod
    def queues(self) -> list[QueueRecord]:
        """Return every queue by name."""

    @abstractmethod
    def workers(self) -> list[WorkerRecord]:
        """Return the workers, living ones first."""

    @abstractmethod
    def states(self, ids: Sequence[bytes]) -> dict[bytes, tuple[State, int]]:
        """Return state and version of the jobs that exist: what a waiter reads after a hint."""

    def existing(self, ids: Sequence[bytes]) -> Collection[bytes]:
        """Return those of the ids that exist: what is asked after a commit that was not ours."""
        return self.states(ids).keys()

    # -- keeping ------------------------------------------------------------------------------------------------

    @abstractmethod
    def prune(self, *, successful_before: int, ended_before: int, keep_at_most: int) -> int:
        """Remove one step (at most 1,000) of finished jobs that are too old or too many; return how many.

        `successful_before` and `ended_before` are moments (µs) before which a successful job, and any other finished
        one, must have ended. Of too many, those go that were enqueued first. 0 when nothing is left to remove.
        """

    @abstractmethod
    def maintain(self) -> None:
        """Do the store's own housekeeping, called about once a second by the supervisor (on SQLite: log and room)."""

    # -- moving -------------------------------------------------------------------------------------------------

    @abstractmethod
    def load(self, jobs: Sequence[JobRecord]) -> list[bool]:
        """Store jobs of another store as they are, in one durable transaction; say for each whether it is new here.

        State, times, attempt, crashes, result, failure, attempts and operations are kept, so that the job's page reads
        as before; `attempts` and `operations` may be None. A running job has no worker here: it is stored as ready,
        with its running attempt given back, or as cancelled if it was asked to stop. `fence`, `version`, `parked` and
        `stop_requested` begin anew. A job whose id exists, or an unfinished one whose unique key another unfinished
        job holds, leaves what is here as it is. Raises ConfigurationError, and stores none of them, when a queue holds
        the other kind. `arrival.arriving` says what all brokers store.
        """

    def backup(self, path: Path) -> None:
        """Write a copy of the whole store to a new file, as it stands at one moment; others go on working meanwhile.

        Raises ConfigurationError when `path` exists or cannot be made; leaves no half copy behind under that name.
        """
        raise NotSupported(f"{type(self).__name__} has no backup of its own: {_SERVER_TOOLS}")

    def restore(self, path: Path) -> None:
        """Put the copy that `backup` wrote in the place of all that is in the store, at once or not at all.

        The jobs that were running in it go back uncharged: their workers are of the past. Raises ConfigurationError
        when `path` holds no sound store that this comanda may use, BrokerTimeout when another process uses the store.
        """
        raise NotSupported(f"{type(self).__name__} cannot restore a backup: {_SERVER_TOOLS}")

    # -- schema -------------------------------------------------------------------------------------------------

    def schema_status(self) -> tuple[int, int]:
        """Return the schema version found in the store, 0 in an empty one, and the one that this comanda wants.

        Changes nothing. A store without a schema answers (0, 0).
        """
        return 0, 0

    def oldest_client(self) -> int | None:
        """Return the oldest schema version whose comanda may use the store; None when it does not say."""
        return None

    def migrate(self) -> list[int]:
        """Bring the schema up to date; return the steps applied, in order. Raises SchemaMismatch for a newer one."""
        self.open()
        return []

    # -- waiting ------------------------------------------------------------------------------------------------

    @abstractmethod
    def wait_for_work(self, timeout: float) -> None:
        """Come back when there may be work, a stop request or a wake(), at most after `timeout` seconds.

        Only a hint: a poll always suffices. Returns earlier when a scheduled job falls due. What happens between two
        waits of a thread ends the second at once, so that nothing is missed between a claim and the wait after it.
        """

    @abstractmethod
    def wait_for_change(self, timeout: float) -> None:
        """Come back when a job may have ended or an operator changed one, at most after `timeout` seconds."""

    @abstractmethod
    def wake(self) -> None:
        """Make the waits of this process return now. Safe from any thread and from a signal handler."""

    @abstractmethod
    def ring(self) -> None:
        """Tell waiting processes that work was committed by somebody else's transaction."""

    @abstractmethod
    def runtime_directory(self) -> Path | None:
        """Return the directory where this store's workers on this host keep lock files; None within one process."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Return what `info` and a starting worker show about the store: name, absolute path or address, versions.

        "store" names it as a URL; "warning", if there is one, says what its owner should do.
        """
