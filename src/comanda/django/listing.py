"""The list of jobs in the admin: one keyset page of the broker's, in the shape that Django's templates ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from django.utils.translation import gettext as _

from ..app import Comanda
from ..brokers.records import JobFilter, JobRecord, State
from ..cli import search, views
from ..cli.times import length
from ..clock import Micros
from ..errors import ConfigurationError
from ..ids import from_text, to_text
from .labels import STATES, moment, note_of

PER_PAGE = 50
MOST_TASKS = 40
"""Tasks that the filter lists; a project with more finds the others by search."""
SHOWN_OF_ID = 18
"""Characters of an id in the list: the moment, and what tells apart the jobs of one millisecond and process."""

_FILTERS = ("state", "queue", "task")
_HEXADECIMAL = frozenset("0123456789abcdef-")


class Choice(NamedTuple):
    """One line of a filter."""

    selected: bool
    query_string: str
    display: str


class Filter:
    """One filter at the side of the list."""

    template = "admin/filter.html"

    def __init__(self, title: str, choices: list[Choice]) -> None:
        self.title = title
        self._choices = choices

    def choices(self, _changelist: JobList) -> Iterator[Choice]:
        """Yield its lines."""
        return iter(self._choices)


class JobList:
    """One page of jobs, newest first; `cl` of Django's change list template.

    Reading it raises BrokerError; words that cannot be searched for become `problem`, and an empty page.
    """

    formset = None
    is_popup = add_facets = is_facets_optional = date_hierarchy = False
    has_filters = True
    search_fields = ("id", "task")

    def __init__(self, app: Comanda, opts: Any, given: Mapping[str, str]) -> None:
        self.opts = opts
        self.now = app.now()
        self.query = given.get("q", "").strip()
        self.params = {name: given[name] for name in _FILTERS if given.get(name)}
        self.problem = ""
        self.queues = app.broker.queues()
        self.result_list: list[dict[str, Any]] = []
        self.newest = self._link()
        self.newer = self.older = ""
        try:
            self._read(app, self._which(app), given)
        except ConfigurationError as error:
            self.problem = str(error)
        self.result_count = self.full_result_count = len(self.result_list)
        self.filter_specs = [self._states(), self._queue_names(), self._tasks(app)]
        self.has_active_filters = bool(self.params or self.query)
        self.clear_all_filters_qs = "?"

    @property
    def search_help_text(self) -> str:
        """What may be searched for."""
        return _("The beginning of an id, a task, or words such as state:failed,expired queue:mail since:1h")

    @property
    def overview(self) -> list[dict[str, Any]]:
        """Each queue with what waits and runs in it, and for how long the oldest has waited."""
        return [
            {
                "name": record.name,
                "url": self._link(queue=record.name),
                "waiting": record.counts.get(State.READY, 0) + record.counts.get(State.SCHEDULED, 0),
                "running": record.counts.get(State.RUNNING, 0),
                "failed": record.counts.get(State.FAILED, 0),
                "oldest": _age(record.oldest_ready_at, self.now),
                "paused": record.paused,
                "messages": record.kind == "messages",
            }
            for record in self.queues
        ]

    # -- reading ------------------------------------------------------------------------------------------------

    def _which(self, app: Comanda) -> JobFilter:
        found = search.filter_of([_word(word) for word in self.query.split()], app)
        if "state" in self.params:
            found = msgspec.structs.replace(
                found, states=search.filter_of([f"state:{self.params['state']}"], app).states
            )
        if "queue" in self.params:
            found = msgspec.structs.replace(found, queues=(self.params["queue"],))
        if "task" in self.params:
            found = msgspec.structs.replace(found, tasks=(self.params["task"],))
        return found

    def _read(self, app: Comanda, which: JobFilter, given: Mapping[str, str]) -> None:
        if before := given.get("before"):  # the page of newer jobs, which is read towards the newest
            found = app.broker.find(which, limit=PER_PAGE + 1, after=from_text(before), oldest_first=True)
            records, more_newer, more_older = found[:PER_PAGE][::-1], len(found) > PER_PAGE, True
        else:
            after = given.get("after")
            found = app.broker.find(which, limit=PER_PAGE + 1, after=from_text(after) if after else None)
            records, more_newer, more_older = found[:PER_PAGE], bool(after), len(found) > PER_PAGE
        self.result_list = [self._row(record) for record in records]
        if records and more_newer:
            self.newer = self._link(before=to_text(records[0].id))
        if records and more_older:
            self.older = self._link(after=to_text(records[-1].id))

    def _row(self, record: JobRecord) -> dict[str, Any]:
        job_id = to_text(record.id)
        return {
            "id": job_id,
            "short_id": job_id[:SHOWN_OF_ID],
            "task": views.task_name(record),
            "queue": record.queue,
            "state": record.state.value,
            "label": STATES[record.state],
            "note": note_of(record, self.now),
            "attempt": record.attempt,
            "enqueued": moment(record.enqueued_at),
            "age": length(self.now - record.enqueued_at),
            "finished": moment(record.finished_at),
            "finished_age": _age(record.finished_at, self.now),
            "error": " ".join(views.error_words(record.failure).split()),
        }

    # -- filters ------------------------------------------------------------------------------------------------

    def _states(self) -> Filter:
        narrowed = self.query or "task" in self.params  # then the store's counts are of other jobs than the list
        counts: dict[State, int] = {}
        for record in self.queues:
            if record.name == self.params.get("queue", record.name):
                for state, count in record.counts.items():
                    counts[state] = counts.get(state, 0) + count
        names = {
            state.value: str(label) if narrowed else f"{label} ({counts.get(state, 0):,})"
            for state, label in STATES.items()
        }
        return self._filter("state", _("state"), names)

    def _queue_names(self) -> Filter:
        return self._filter("queue", _("queue"), {record.name: record.name for record in self.queues})

    def _tasks(self, app: Comanda) -> Filter:
        known = {task.name for task in app.tasks.values()}
        known |= {task for worker in app.broker.workers() for task in worker.tasks if task}
        names = sorted(known)[:MOST_TASKS]
        return self._filter("task", _("task"), {name: name for name in names})

    def _filter(self, parameter: str, title: str, names: Mapping[str, str]) -> Filter:
        chosen = self.params.get(parameter)
        choices = [Choice(chosen is None, self._link(**{parameter: None}), _("All"))]
        choices += [Choice(chosen == name, self._link(**{parameter: name}), shown) for name, shown in names.items()]
        return Filter(title, choices)

    def _link(self, **changed: str | None) -> str:
        """Return the query string of this list with other parameters; always of its first page, unless told."""
        wanted = {"q": self.query or None, **self.params, **changed}
        return f"?{urlencode({name: value for name, value in wanted.items() if value})}"


def _word(word: str) -> str:
    """Return a bare word as a search word: the beginning of an id if it can be one, else a task."""
    if ":" in word or (len(word) >= 4 and set(word.lower()) <= _HEXADECIMAL):
        return word
    return f"task:{word}"


def _age(since: Micros | None, now: Micros) -> str:
    return "" if since is None else length(max(0, now - since))
