"""Settling and claiming."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from ...clock import Micros
from .. import rules
from ..base import PROMOTION_STEP
from ..records import MESSAGE, AttemptRecord, Claimed, Demand, Kind, Outcome, State
from ..rotation import Rotation
from .table import Row, Table
from .workers import Workers

_TERMINAL = {Kind.SUCCESS: State.SUCCESSFUL, Kind.FAILURE: State.FAILED, Kind.CANCEL: State.CANCELLED}


def settle(table: Table, workers: Workers, owner: int, outcomes: Sequence[Outcome], now: Micros) -> list[Outcome]:
    """Write outcomes; return those whose job has moved on."""
    return [outcome for outcome in outcomes if not _settle_one(table, workers, owner, outcome, now)]


def _settle_one(table: Table, workers: Workers, owner: int, outcome: Outcome, now: Micros) -> bool:
    row = table.row(outcome.job.n)
    if row is None or row.state is not State.RUNNING or (row.fence, row.owner) != (outcome.job.fence, owner):
        return False
    recorded = rules.attempt_outcome(outcome)
    if recorded is not None:
        row.attempts.append(_attempt(workers, owner, row.attempt, outcome, recorded))
    if outcome.kind == Kind.SUCCESS and row.task == MESSAGE:
        table.remove(row)
    elif outcome.kind in _TERMINAL:
        row.started_at, row.finished_at = outcome.started_at, outcome.finished_at
        row.result = outcome.result if outcome.kind == Kind.SUCCESS else row.result
        table.move(row, _TERMINAL[outcome.kind])
    else:
        _go_back(table, row, outcome, now)
    return True


def _attempt(workers: Workers, owner: int, number: int, outcome: Outcome, recorded: str) -> AttemptRecord:
    host, pid, version = workers.who(owner)
    return AttemptRecord(
        number=number,
        outcome=recorded,
        started_at=outcome.started_at,
        finished_at=outcome.finished_at,
        host=host,
        pid=pid,
        version=version,
        failure=outcome.failure,
    )


def _go_back(table: Table, row: Row, outcome: Outcome, now: Micros) -> None:
    """Put a job back: a released one to its place in the line, any other to where its delay puts it."""
    keeps_place = outcome.kind == Kind.RELEASE and not outcome.delay
    row.attempt -= outcome.kind != Kind.RETRY
    row.started_at = None
    row.finished_at = now if row.stop else None
    after = State.SCHEDULED if outcome.delay > 0 else State.READY
    table.move(row, State.CANCELLED if row.stop else after, due=None if keeps_place else now + outcome.delay)


def promote(table: Table, now: Micros) -> None:
    """Make due scheduled jobs ready."""
    for _ in range(PROMOTION_STEP):
        first = table.scheduled.first()
        if first is None or first[0][0] > now:
            return
        row = table.row(first[1])
        if row is not None:
            table.move(row, State.READY)


def claim(table: Table, owner: int, demand: Demand, rotation: Rotation, now: Micros) -> list[Claimed]:
    """Take up to `demand.limit` jobs."""

    def take_from(queue: str, wanted: int) -> list[Claimed]:
        return _take_from(table, owner, queue, (demand.tasks, wanted), now)

    return rotation.take(_open_queues(table, demand), demand.limit, take_from, strict=demand.strict)


def _open_queues(table: Table, demand: Demand) -> list[str]:
    """Return the queues that may hand out what is asked for, in the order in which the demand names them."""
    messages = MESSAGE in demand.tasks
    names = table.queues if demand.queues is None else [name for name in demand.queues if name in table.queues]
    queues = [table.queues[name] for name in names]
    return [queue.name for queue in queues if not queue.paused and queue.messages is messages]


def _take_from(table: Table, owner: int, queue: str, demand: tuple[frozenset[str], int], now: Micros) -> list[Claimed]:
    """Take jobs of one queue in order, from the first of each task's line; what has expired ends instead."""
    tasks, wanted = demand
    lines = table.ready(queue, tasks)
    heads = [(first, index) for index, line in enumerate(lines) if (first := line.first())]
    heapify(heads)
    taken: list[Claimed] = []
    while heads and len(taken) < wanted:
        (_, n), index = heappop(heads)
        row = table.row(n)
        if row is not None:
            taken += _take(table, row, owner, now)
        following = lines[index].first()
        if following is not None:
            heappush(heads, (following, index))
    return taken


def _take(table: Table, row: Row, owner: int, now: Micros) -> list[Claimed]:
    if row.expires is not None and row.expires <= now:
        row.finished_at = now
        table.move(row, State.EXPIRED)
        return []
    row.fence += 1
    row.attempt += 1
    row.started_at = now
    table.move(row, State.RUNNING, owner=owner)
    return [
        Claimed(
            *(row.n, row.id, row.fence, row.attempt, row.crashes, row.task, row.queue, row.payload, row.options),
            row.enqueued_at,
        )
    ]
