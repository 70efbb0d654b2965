"""Jobs run one after another in the calling thread: for the test kit, and for scripts that want no worker."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from ..brokers.records import Claimed, Demand, Outcome, WorkerInfo
from ..outbox.relay import Relay
from ..transactions import check_completion
from ..version import __version__
from .attempt import Tasks, begin, now
from .deadlines import Deadlines
from .execute import runner_for
from .joblog import JobLog
from .presence import Presence
from .slots import Slots
from .surrounded import tasks_at_work
from .transactional import Transactional, set_apart

if TYPE_CHECKING:
    from ..app import Comanda


def run_jobs(app: Comanda, limit: int | None = None) -> int:
    """Run the jobs that are ready, and those they enqueue, at most `limit`; return how many were run.

    They take the same way as in a worker: claimed, decoded, called, decided, settled; time limits hold. What waits for
    a later moment, a retry for instance, stays. A KeyboardInterrupt ends it, after the job's outcome was written. What
    was committed into an outbox is moved to the store first.
    """
    broker = app.broker
    if (outbox := app.runtime.outbox) is not None:
        Relay(outbox, broker).drain()
    tasks = tasks_at_work(app)
    for task in tasks.values():
        check_completion(broker, task)
    owner = broker.register(_myself(tuple(tasks)))
    demand = Demand(1, frozenset(tasks))
    slots = Slots(1, Presence(None, owner, 1).page)
    deadlines = Deadlines(slots)
    transactional = Transactional(broker, owner)
    log = JobLog()
    done = 0
    try:
        while limit is None or done < limit:
            claimed = broker.claim(owner, demand)
            if not claimed:
                return done
            outcome = _run(claimed[0], tasks, slots, deadlines, transactional)
            left, _, late = set_apart([outcome])
            refused = late + broker.settle(owner, left)
            log.refused(refused)
            if not refused:
                log.settled([outcome])
            done += 1
            if outcome.failure is not None and outcome.failure.type == KeyboardInterrupt.__name__:
                raise KeyboardInterrupt
        return done
    finally:
        transactional.close()
        deadlines.close()
        broker.deregister(owner)


def _run(job: Claimed, tasks: Tasks, slots: Slots, deadlines: Deadlines, transactional: Transactional) -> Outcome:
    attempt = begin(job, tasks, now())
    if isinstance(attempt, Outcome):
        return attempt
    attempt.runner = runner = runner_for(attempt, transactional)
    slots.occupy(0, attempt)
    if attempt.deadline is not None:
        deadlines.watch(attempt.deadline)
    try:
        return runner.run(attempt)
    finally:
        slots.vacate(0)


def _myself(tasks: tuple[str, ...]) -> WorkerInfo:
    return WorkerInfo(host=socket.gethostname(), pid=os.getpid(), version=__version__, kind="embedded", tasks=tasks)
