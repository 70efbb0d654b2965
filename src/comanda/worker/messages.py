"""What the processes of one worker say to each other."""

from __future__ import annotations

from msgspec import Struct

from ..brokers.records import Claimed, Failure, Kind, Outcome
from ..clock import Micros
from ..settings import Settings


class Work(Struct, frozen=True, tag=True, kw_only=True):
    """What a worker shall do; None: as the app's settings say. Parent to embedded supervisor, supervisor to child.

    `app` is `module:attribute`. `queues`: all when None. `burst`: end when nothing is ready and nothing runs. `search`:
    directories to import from besides those of a fresh interpreter.
    """

    app: str
    processes: int | None = None
    concurrency: int | None = None
    queues: tuple[str, ...] | None = None
    strict: bool = False
    burst: bool = False
    grace: float | None = None
    log_level: str | None = None
    search: tuple[str, ...] = ()


class Ready(Struct, frozen=True, tag=True, kw_only=True):
    """Child to supervisor: at work as `owner`. With all that the supervisor needs to know of the app and its store."""

    owner: int
    settings: Settings
    tasks: tuple[str, ...]
    store: dict[str, str]


class Refused(Struct, frozen=True, tag=True):
    """Child to supervisor: it cannot work, and why. `code` is the exit code that says so."""

    sentence: str
    code: int


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

    `overrun` is the outcome of an attempt that would not stop at its time limit: it counts once this process is dead,
    which the supervisor sees to after the grace time.
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
    search: tuple[str, ...]


class Begun(Struct, frozen=True, tag=True):
    """Isolated process to child: the app is loaded and the job begins; from here on its time limit runs."""


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


_Orders = Work | Renewed | StopJobs | Lost | Stop | Run | Interrupted
_Reports = Ready | Refused | Draining | Leaving | Begun | Ended
Message = _Orders | _Reports
