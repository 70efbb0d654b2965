"""What the processes of one worker say to each other."""

from __future__ import annotations

from msgspec import Struct

from ..brokers.records import Claimed, Failure, Kind, Outcome
from ..clock import Micros


class Start(Struct, frozen=True, tag=True):
    """Supervisor to child: load this app and work. None: as the app's settings say."""

    app: str
    queues: tuple[str, ...] | None = None
    strict: bool = False
    burst: bool = False
    concurrency: int | None = None
    log_level: str | None = None


class Ready(Struct, frozen=True, tag=True):
    """Child to supervisor: at work as `owner`. The rest are the app's settings, times in seconds."""

    owner: int
    url: str
    namespace: str
    concurrency: int
    processes: int
    lease: float
    heartbeat: float
    rescue: float
    grace: float
    keep_successful: float
    keep_failed: float
    keep_at_most: int
    log_level: str
    tasks: tuple[str, ...]


class Refused(Struct, frozen=True, tag=True):
    """Child to supervisor: cannot work, and why. `final`: trying again cannot help."""

    sentence: str
    final: bool


class Renewed(Struct, frozen=True, tag=True):
    """Supervisor to child: your lease was renewed. Silence means that nobody renews it (R46)."""


class StopJobs(Struct, frozen=True, tag=True):
    """Supervisor to child: these (row id, fence) were asked to stop."""

    jobs: tuple[tuple[int, int], ...]


class Lost(Struct, frozen=True, tag=True):
    """Supervisor to child: your owner was declared dead; others may run your jobs."""


class Stop(Struct, frozen=True, tag=True):
    """Supervisor to child: take no more jobs, finish within `grace` seconds, leave."""

    grace: float


class Draining(Struct, frozen=True, tag=True):
    """Child to supervisor: takes no more jobs and needs a successor now.

    `overrun` is the outcome of an attempt that would not stop at its time limit; it counts once this process is dead.
    """

    reason: str
    overrun: Outcome | None = None


class Leaving(Struct, frozen=True, tag=True):
    """Child to supervisor: the end is in order; what this owner still holds goes back uncharged."""


class Run(Struct, frozen=True, tag=True):
    """Child to isolated process: run this job of this app."""

    app: str
    job: Claimed
    log_level: str


class Interrupted(Struct, frozen=True, tag=True):
    """Child to isolated process: raise TimedOut in the job (`timeout`), or Cancelled."""

    timeout: bool


class Ended(Struct, frozen=True, tag=True):
    """Isolated process to child: what became of the job."""

    kind: Kind
    started_at: Micros
    finished_at: Micros
    result: bytes | None
    failure: Failure | None
    delay: Micros


Message = Start | Ready | Refused | Renewed | StopJobs | Lost | Stop | Draining | Leaving | Run | Interrupted | Ended
