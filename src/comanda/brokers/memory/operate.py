"""What operators do to jobs, and what time does to them."""

from __future__ import annotations

from collections.abc import Iterable

from ...clock import Micros
from ..records import MESSAGE, TERMINAL_STATES, JobFilter, OperationRecord, State
from ..rules import actor
from .read import choose
from .table import Row, Table

_WAITING = (State.SCHEDULED, State.READY)


def cancel(table: Table, which: JobFilter, now: Micros) -> list[bytes]:
    """End waiting jobs, ask running ones to stop."""
    rows = [row for row in choose(table, which) if not row.state.is_terminal]
    for row in rows:
        if row.state is State.RUNNING:
            row.stop = True
            row.version += 1
        else:
            row.finished_at = now
            table.move(row, State.CANCELLED)
    return _recorded(rows, "cancel", now)


def retry(table: Table, which: JobFilter, now: Micros) -> list[bytes]:
    """Make ended jobs ready again, unless somebody else holds their unique key by now."""
    rows: list[Row] = []
    for row in choose(table, which):
        if row.state.is_terminal and table.holder(row.unique_key) is None:
            row.attempt = row.crashes = 0
            row.started_at = row.finished_at = row.result = row.expires = None
            row.stop = False
            table.move(row, State.READY, due=now)
            rows.append(row)
    return _recorded(rows, "retry", now)


def reschedule(table: Table, which: JobFilter, due: Micros, now: Micros) -> list[bytes]:
    """Give waiting jobs a new due time."""
    rows = [row for row in choose(table, which) if row.state in _WAITING]
    for row in rows:
        table.move(row, State.SCHEDULED if due > now else State.READY, due=due)
    return _recorded(rows, "reschedule", now)


def delete(table: Table, which: JobFilter) -> int:
    """Remove jobs that are not running."""
    rows = [row for row in choose(table, which) if row.state is not State.RUNNING]
    for row in rows:
        table.remove(row)
    return len(rows)


def park(table: Table, known: set[str]) -> int:
    """Hold back ready jobs whose task nobody knows."""
    parked = 0
    for task in table.ready_tasks() - known - {MESSAGE}:
        for row in table.ready_rows(task):
            table.move(row, State.READY, parked=True)
            parked += 1
    return parked


def unpark(table: Table, tasks: Iterable[str]) -> None:
    """Take the mark off the jobs of tasks that somebody knows now."""
    for task in tasks:
        for row in list(table.parked.get(task, {}).values()):
            table.move(row, State.READY)


def expire(table: Table, now: Micros) -> int:
    """End waiting jobs whose expiry has passed."""
    expired = 0
    while (first := table.expiring.first()) is not None and first[0][0] <= now:
        row = table.row(first[1])
        if row is not None:
            row.finished_at = now
            table.move(row, State.EXPIRED)
            expired += 1
    return expired


def prune(table: Table, successful_before: Micros, ended_before: Micros, keep_at_most: int, step: int) -> int:
    """Remove at most `step` finished jobs that are too old, else those that are too many; return how many."""
    rows = _too_old(table, successful_before, ended_before, step) or _too_many(table, keep_at_most, step)
    for row in rows:
        table.remove(row)
    return len(rows)


def _too_old(table: Table, successful_before: Micros, ended_before: Micros, step: int) -> list[Row]:
    rows: list[Row] = []
    for line, limit in ((table.successful, successful_before), (table.ended_badly, ended_before)):
        rows += [row for n in line.below((limit,), step - len(rows)) if (row := table.row(n)) is not None]
    return rows


def _too_many(table: Table, keep_at_most: int, step: int) -> list[Row]:
    excess = min(step, len(table.successful) + len(table.ended_badly) - keep_at_most)
    rows: list[Row] = []
    for row in table:
        if len(rows) >= excess:
            break
        if row.state in TERMINAL_STATES:
            rows.append(row)
    return rows


def _recorded(rows: list[Row], verb: str, now: Micros) -> list[bytes]:
    who = actor()
    for row in rows:
        row.operations.append(OperationRecord(verb, now, who))
    return [row.id for row in rows]
