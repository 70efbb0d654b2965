"""What operators do to jobs on the admin's pages: retry, cancel, delete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..brokers.base import Broker
from ..brokers.records import LIVE_STATES, TERMINAL_STATES, JobFilter, JobRecord, State
from ..brokers.rules import acting
from .labels import STATES


class Verb(NamedTuple):
    """What is done to jobs. `states`: those it can be done to. `done`: the message for how many it was done to."""

    name: str
    permission: str
    label: Any
    on_selected: Any
    states: tuple[State, ...]
    done: Callable[[int], str]
    history: Any
    refused: Any
    """Why a job in a fitting state can be left as it is nevertheless."""


RETRY = Verb(
    name="retry",
    permission="retry_job",
    label=gettext_lazy("Retry"),
    on_selected=gettext_lazy("Retry selected jobs"),
    states=TERMINAL_STATES,
    done=lambda count: ngettext("%(count)d job is ready again.", "%(count)d jobs are ready again.", count),
    history=gettext_lazy("Retried."),
    refused=gettext_lazy("another unfinished job holds its unique key"),
)
CANCEL = Verb(
    name="cancel",
    permission="cancel_job",
    label=gettext_lazy("Cancel"),
    on_selected=gettext_lazy("Cancel selected jobs"),
    states=LIVE_STATES,
    done=lambda count: ngettext(
        "%(count)d job is cancelled; if it is running, it was asked to stop.",
        "%(count)d jobs are cancelled; those that are running were asked to stop.",
        count,
    ),
    history=gettext_lazy("Cancelled."),
    refused=gettext_lazy("it has ended meanwhile"),
)
DELETE = Verb(
    name="delete",
    permission="delete_job",
    label=gettext_lazy("Delete"),
    on_selected=gettext_lazy("Delete selected jobs"),
    states=tuple(state for state in State if state is not State.RUNNING),
    done=lambda count: ngettext("%(count)d job is deleted.", "%(count)d jobs are deleted.", count),
    history=gettext_lazy("Deleted."),
    refused=gettext_lazy("it has begun to run meanwhile"),
)
VERBS = {verb.name: verb for verb in (RETRY, CANCEL, DELETE)}


class Done(NamedTuple):
    """What a verb did: the ids it was done to, and why others were left as they are, with how many each."""

    ids: list[bytes]
    skipped: Counter[str]


def apply(broker: Broker, verb: Verb, ids: Sequence[bytes], user: str) -> Done:
    """Do it to the jobs that are in a fitting state; it is recorded as the doing of `user`. Raises BrokerError."""
    records = broker.get(ids)
    able = [record for record in records if record is not None and record.state in verb.states]
    with acting(user):
        done = _run(broker, verb, [record.id for record in able])
    skipped: Counter[str] = Counter()
    for record in records:
        if record is None or record.id not in done:
            skipped[_reason(verb, record)] += 1
    return Done([record.id for record in able if record.id in done], skipped)


def _run(broker: Broker, verb: Verb, ids: list[bytes]) -> set[bytes]:
    if not ids:
        return set()
    which = JobFilter(ids=tuple(ids), states=verb.states)
    if verb is RETRY:
        return set(broker.retry(which))
    if verb is CANCEL:
        return set(broker.cancel(which))
    broker.delete(which)
    return set(ids) - set(broker.existing(ids))


def _reason(verb: Verb, record: JobRecord | None) -> str:
    if record is None:
        return _("it does not exist any more")
    if record.state not in verb.states:
        return _("it is %(state)s") % {"state": STATES[record.state]}
    return str(verb.refused)


def sentences(verb: Verb, done: Done) -> tuple[str | None, str | None]:
    """Return what was done and what was skipped and why, each None when there is nothing to say."""
    did = verb.done(len(done.ids)) % {"count": len(done.ids)} if done.ids else None
    if not done.skipped:
        return did, None
    count = done.skipped.total()
    reasons = "; ".join(f"{reason} ({number})" for reason, number in done.skipped.most_common())
    skipped = ngettext("%(count)d job was skipped: %(reasons)s.", "%(count)d jobs were skipped: %(reasons)s.", count)
    return did, skipped % {"count": count, "reasons": reasons}
