"""One job on its page in the admin: everything the store knows, arguments as text and redacted (S14)."""

from __future__ import annotations

from typing import Any

import msgspec
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..brokers.records import AttemptRecord, Failure, JobRecord
from ..cli import views
from ..cli.times import length
from ..clock import Micros
from ..codec import redacted
from ..ids import to_text
from .labels import STATES, moment, note_of

OUTCOMES: dict[str, Any] = {
    "running": gettext_lazy("running"),
    "successful": gettext_lazy("successful"),
    "failed": gettext_lazy("failed"),
    "timed_out": gettext_lazy("timed out"),
    "lost": gettext_lazy("lost with its worker"),
    "cancelled": gettext_lazy("cancelled"),
    "snoozed": gettext_lazy("put off"),
}

OPERATIONS: dict[str, Any] = {
    "retry": gettext_lazy("retried"),
    "cancel": gettext_lazy("cancelled"),
    "reschedule": gettext_lazy("given another time"),
}


def context_of(record: JobRecord, now: Micros) -> dict[str, Any]:
    """Return what the template shows. Nothing in it is decoded into a user's types, nor marked as safe."""
    content_type = views.content_type_of(record)
    return {
        "job_id": to_text(record.id),
        "task": views.task_name(record),
        "state": record.state.value,
        "label": STATES[record.state],
        "note": note_of(record, now),
        "facts": [(name, value) for name, value in _facts(record) if value not in (None, "")],
        "times": [(name, value) for name, value in _times(record) if value is not None],
        "arguments": _pretty(redacted(record.payload, content_type)),
        "result": None if record.result is None else _pretty(redacted(record.result, content_type)),
        "error": _error(record.failure),
        "attempts": [_attempt(attempt, now) for attempt in record.attempts or ()],
        "operations": [
            {
                "verb": OPERATIONS.get(operation.verb, operation.verb),
                "at": moment(operation.at),
                "actor": operation.actor,
            }
            for operation in record.operations or ()
        ],
    }


def _facts(record: JobRecord) -> list[tuple[str, Any]]:
    return [
        (_("Id"), to_text(record.id)),
        (_("Queue"), record.queue),
        (_("Priority"), record.priority),
        (_("Attempts"), record.attempt),
        (_("Workers that died under it"), record.crashes or None),
        (_("Unique key"), record.unique_key),
    ]


def _times(record: JobRecord) -> list[tuple[str, Any]]:
    return [
        (_("Enqueued"), moment(record.enqueued_at)),
        (_("Due"), moment(record.due)),
        (_("Expires"), moment(record.expires)),
        (_("Started"), moment(record.started_at)),
        (_("Finished"), moment(record.finished_at)),
    ]


def _attempt(attempt: AttemptRecord, now: Micros) -> dict[str, Any]:
    ended = now if attempt.finished_at is None else attempt.finished_at
    return {
        "number": attempt.number,
        "outcome": OUTCOMES.get(attempt.outcome, attempt.outcome),
        "started": moment(attempt.started_at),
        "finished": moment(attempt.finished_at),
        "took": length(max(0, ended - attempt.started_at)),
        "worker": f"{attempt.host}/{attempt.pid}",
        "version": attempt.version,
        "error": _error(attempt.failure),
    }


def _error(failure: Failure | None) -> dict[str, str] | None:
    if failure is None:
        return None
    return {"words": views.error_words(failure), "traceback": failure.traceback}


def _pretty(value: Any) -> str:
    """Return a value as JSON over several lines; a sentence in angle brackets stays one."""
    if isinstance(value, str) and value.startswith("<"):
        return value
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
