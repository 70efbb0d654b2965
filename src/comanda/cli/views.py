"""Jobs as plain values: what JSON gets, and the words that tables show.

Lists never hold arguments or results; a single job shows them, redacted (S14).
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..brokers.records import MESSAGE, AttemptRecord, Failure, JobRecord, State
from ..clock import Micros, to_datetime
from ..codec import redacted
from ..ids import to_text
from ..options import decode
from .times import length


def row(record: JobRecord) -> dict[str, Any]:
    """Return what a list says about a job."""
    return {
        "id": to_text(record.id),
        "task": record.task,
        "queue": record.queue,
        "state": record.state.value,
        "attempt": record.attempt,
        "crashes": record.crashes,
        "priority": record.priority,
        "enqueued_at": _time(record.enqueued_at),
        "run_after": _time(record.due),
        "started_at": _time(record.started_at),
        "finished_at": _time(record.finished_at),
        "parked": record.parked,
        "stop_requested": record.stop_requested,
        "error": _error(record.failure),
    }


def detail(record: JobRecord) -> dict[str, Any]:
    """Return everything about a job, its arguments and its result redacted."""
    content_type = content_type_of(record)
    return row(record) | {
        "unique_key": record.unique_key,
        "expires_at": _time(record.expires),
        "arguments": redacted(record.payload, content_type),
        "result": None if record.result is None else redacted(record.result, content_type),
        "traceback": None if record.failure is None else record.failure.traceback or None,
        "attempts": [_attempt(attempt) for attempt in record.attempts or ()],
        "operations": [
            {"verb": done.verb, "at": _time(done.at), "actor": done.actor} for done in record.operations or ()
        ],
    }


def content_type_of(record: JobRecord) -> str | None:
    """Return what the job's bytes are, None for JSON."""
    try:
        return None if record.options is None else decode(record.options).content_type
    except msgspec.DecodeError:
        return "unknown"  # damaged options: the bytes may be anything, so none of them is shown


def call(record: JobRecord) -> str:
    """Return the job as a call: send_mail(to="ann@example.org", token="•••")."""
    arguments = redacted(record.payload, content_type_of(record))
    if isinstance(arguments, dict) and record.task != MESSAGE:
        shown = ", ".join(f"{name}={_json(value)}" for name, value in arguments.items())
    else:
        shown = _json(arguments)
    return f"{task_name(record)}({shown})"


def result_text(record: JobRecord) -> str:
    """Return a job's result as JSON on one line, redacted."""
    return "" if record.result is None else _json(redacted(record.result, content_type_of(record)))


def task_name(record: JobRecord) -> str:
    """Return the name of a job's task, or that it is a message."""
    return "(message)" if record.task == MESSAGE else record.task


def state_words(record: JobRecord, now: Micros) -> str:
    """Return the state and what it waits for: "scheduled, retry in 2.1 s"."""
    words = record.state.value
    if record.state is State.SCHEDULED:
        kind = "retry in" if record.attempt else "in"
        return f"{words}, {kind} {length(record.due - now)}"
    if record.parked:
        return f"{words}, parked"
    if record.stop_requested and record.state is State.RUNNING:
        return f"{words}, stopping"
    if record.failure is not None and record.failure.reason == "quarantined":
        return f"{words}, quarantined"
    return words


def error_words(failure: Failure | None) -> str:
    """Return an error in a few words."""
    return "" if failure is None else f"{failure.type}: {failure.message}".rstrip(": ")


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "outcome": attempt.outcome,
        "started_at": _time(attempt.started_at),
        "finished_at": _time(attempt.finished_at),
        "host": attempt.host,
        "pid": attempt.pid,
        "version": attempt.version,
        "error": _error(attempt.failure),
        "traceback": None if attempt.failure is None else attempt.failure.traceback or None,
    }


def _error(failure: Failure | None) -> dict[str, str] | None:
    if failure is None:
        return None
    return {"type": failure.type, "message": failure.message, "reason": failure.reason}


def _time(moment: Micros | None) -> Any:
    return None if moment is None else to_datetime(moment)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
