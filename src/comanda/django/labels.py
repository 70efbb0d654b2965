"""Words of the pages: states as people read them, and moments as Django's templates take them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from ..brokers.records import JobRecord, State
from ..cli.times import length
from ..clock import Micros, to_datetime

STATES: dict[State, Any] = {
    State.SCHEDULED: pgettext_lazy("state of a job", "scheduled"),
    State.READY: pgettext_lazy("state of a job", "ready"),
    State.RUNNING: pgettext_lazy("state of a job", "running"),
    State.SUCCESSFUL: pgettext_lazy("state of a job", "successful"),
    State.FAILED: pgettext_lazy("state of a job", "failed"),
    State.CANCELLED: pgettext_lazy("state of a job", "cancelled"),
    State.EXPIRED: pgettext_lazy("state of a job", "expired"),
}


def note_of(record: JobRecord, now: Micros) -> str:
    """Return what a state alone does not say: when a waiting job is due, that a running one is asked to stop."""
    if record.state is State.SCHEDULED:
        due = {"time": length(max(0, record.due - now))}
        return _("retry in %(time)s") % due if record.attempt else _("in %(time)s") % due
    if record.parked:
        return _("no worker knows its task")
    if record.stop_requested and record.state is State.RUNNING:
        return _("asked to stop")
    if record.failure is not None and record.failure.reason == "quarantined":
        return _("kept apart: its worker died under it")
    return ""


def moment(micros: Micros | None) -> datetime | None:
    """Return an aware datetime for a template, None for None."""
    return None if micros is None else to_datetime(micros)
