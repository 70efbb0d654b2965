"""Whether somebody does the work: workers, waiting jobs, tasks that nobody knows, retention."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator, Sequence

from ...app import Comanda
from ...brokers.records import MESSAGE, TERMINAL_STATES, JobFilter, QueueRecord, State, WorkerRecord
from ...clock import SECOND, Micros
from ..info import heard_workers, living_workers, serves
from ..times import length
from .finding import Finding, hint, ok, problem

LATE = 300 * SECOND
"""Age of a ready job, in microseconds, at which its queue is called late."""

LOOKED_AT = 10_000
"""Ready jobs that are looked at for unknown tasks."""

_PAGE = 1_000


def work(app: Comanda, app_path: str | None) -> Iterator[Finding]:
    """Look at what waits and who works. `app_path` completes the commands that mend it."""
    now = app.now()
    lease = round(app.settings.lease * SECOND)
    registered = [worker for worker in living_workers(app) if any(task != MESSAGE for task in worker.tasks)]
    alive = [worker for worker in registered if now - worker.beat_at <= lease]
    queues = app.broker.queues()
    yield from _workers(registered, alive, now)
    yield from _unserved(queues, alive, app_path or "APP")
    yield from _unknown_tasks(app, alive)
    yield _oldest(queues, now)
    yield _retention(app, queues)


def own_worker(app: Comanda) -> Finding:
    """Look for a worker of this host, which in a container is the container itself."""
    host = socket.gethostname()
    own = [
        worker for worker in heard_workers(app) if worker.host == host and any(task != MESSAGE for task in worker.tasks)
    ]
    if own:
        return ok(
            "workers", f"{len(own)} alive on {host}: {', '.join(f'{worker.host}/{worker.pid}' for worker in own)}"
        )
    return problem("workers", f"no worker on {host} was heard of within {app.settings.lease:g} s", "comanda worker APP")


def tasks(app: Comanda) -> Iterator[Finding]:
    """Look at the declarations of an app."""
    declared = {task.name: task for task in app.tasks.values()}
    endless = sorted(name for name, task in declared.items() if task.timeout is None)
    if endless:
        names = ", ".join(endless[:5]) + (", …" if len(endless) > 5 else "")
        yield hint(
            "time-outs",
            f"{len(endless)} of {len(declared)} tasks may run for ever: {names}",
            "give each a limit in seconds: @app.task(timeout=30)",
        )
    else:
        yield ok("time-outs", f"each of {len(declared)} tasks has one")


def _workers(registered: Sequence[WorkerRecord], alive: Sequence[WorkerRecord], now: Micros) -> Iterator[Finding]:
    silent = [worker for worker in registered if worker not in alive]
    if alive:
        yield ok("workers", f"{len(alive)} alive: {', '.join(f'{worker.host}/{worker.pid}' for worker in alive[:5])}")
    elif not silent:
        yield ok("workers", "none is alive")
    for worker in silent:
        yield hint(
            "workers",
            f"{worker.host}/{worker.pid} has been silent for {length(now - worker.beat_at)}: it hangs, or it died and "
            "nobody has noticed yet",
            "the next worker to run hands its jobs to others: see that one does",
        )


def _unserved(queues: Sequence[QueueRecord], alive: Sequence[WorkerRecord], app_path: str) -> Iterator[Finding]:
    for queue in queues:
        waiting = queue.counts[State.READY] + queue.counts[State.SCHEDULED]
        if not waiting or queue.kind != "jobs":
            continue
        jobs = f"queue {queue.name!r} has {waiting:,} waiting job{'' if waiting == 1 else 's'}"
        if not any(serves(worker, queue.name) for worker in alive):
            yield problem("workers", f"{jobs} and no worker takes it", f"comanda worker {app_path} -q {queue.name}")
        elif queue.paused:
            yield hint("queues", f"{jobs} and is paused", f"comanda queues resume {queue.name}")


def _unknown_tasks(app: Comanda, alive: Sequence[WorkerRecord]) -> Iterator[Finding]:
    known = {task for worker in alive for task in worker.tasks}
    if not known:
        return  # without workers every task is unknown, which is said already
    waiting, complete = _ready_by_task(app)
    for task in sorted(waiting.keys() - known - {MESSAGE}):
        number = f"{waiting[task]:,}" if complete else f"at least {waiting[task]:,}"
        yield problem(
            "tasks",
            f"{number} ready job{'' if waiting[task] == 1 else 's'} of task {task!r}, which no living worker knows",
            f"start a worker whose code declares it (after a rename: aliases=[{task!r}]), "
            f"or comanda jobs cancel task:{task}",
        )


def _ready_by_task(app: Comanda) -> tuple[Counter[str], bool]:
    """Return the ready jobs by task, the oldest first, and whether that is all of them."""
    counts: Counter[str] = Counter()
    after = None
    while counts.total() < LOOKED_AT:
        page = app.broker.find(JobFilter(states=(State.READY,)), limit=_PAGE, after=after, oldest_first=True)
        counts.update(record.task for record in page)
        if len(page) < _PAGE:
            return counts, True
        after = page[-1].id
    return counts, False


def _oldest(queues: Sequence[QueueRecord], now: Micros) -> Finding:
    ages = {queue.name: now - queue.oldest_ready_at for queue in queues if queue.oldest_ready_at is not None}
    if not ages:
        return ok("waiting", "no job is ready and waits")
    name = max(ages, key=lambda queue: ages[queue])
    message = f"the oldest ready job waits for {length(ages[name])}, in queue {name!r}"
    if ages[name] > LATE:
        return hint("waiting", message, "give the workers more --concurrency or --processes, or start another")
    return ok("waiting", message)


def _retention(app: Comanda, queues: Sequence[QueueRecord]) -> Finding:
    settings = app.settings
    finished = sum(queue.counts[state] for queue in queues for state in TERMINAL_STATES)
    kept = (
        f"{finished:,} finished jobs; kept are successful ones for {length(round(settings.keep_successful * SECOND))}, "
        f"others for {length(round(settings.keep_failed * SECOND))}, at most {settings.keep_at_most:,}"
    )
    if finished > settings.keep_at_most:
        return hint("retention", kept, "workers remove the rest step by step: see that one runs")
    return ok("retention", kept)
