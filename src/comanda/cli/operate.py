"""`comanda jobs retry` and `comanda jobs cancel`: by ids, or in bulk by search words with a preview."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import click
import msgspec

from ..app import Comanda
from ..brokers.base import Broker
from ..brokers.records import LIVE_STATES, TERMINAL_STATES, JobFilter, JobRecord, State
from ..clock import Micros
from ..errors import ConfigurationError, JobNotFound
from ..ids import to_text
from . import views
from .exits import Command, Exit, Stop
from .output import document, line, say, table
from .search import filter_of, find_id, is_id
from .targets import existing_store, store_options
from .times import length

STEP = 1_000
"""Jobs of one page, and of one transaction."""

SAMPLES = 5


class Verb(NamedTuple):
    """What is done to jobs. `states`: those it can be done to; `searched`: those a search without state: means."""

    name: str
    done: str
    states: tuple[State, ...]
    searched: tuple[State, ...]
    apply: Callable[[Broker, JobFilter], list[bytes]]


# A search never means successful jobs by itself: their work is done, and doing it again has to be asked for.
RETRY = Verb(
    name="retry",
    done="retried",
    states=TERMINAL_STATES,
    searched=(State.FAILED, State.CANCELLED, State.EXPIRED),
    apply=lambda broker, which: broker.retry(which),
)
CANCEL = Verb(
    name="cancel",
    done="cancelled",
    states=LIVE_STATES,
    searched=LIVE_STATES,
    apply=lambda broker, which: broker.cancel(which),
)


@dataclass
class Matched:
    """The jobs of a search as they were at the preview: what is done is done to these and no others."""

    ids: list[bytes] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    samples: list[JobRecord] = field(default_factory=list)
    oldest: Micros = 0

    def add(self, record: JobRecord) -> None:
        """Note one job; they come newest first."""
        self.ids.append(record.id)
        self.states[record.state.value] += 1
        self.tasks[views.task_name(record)] += 1
        self.oldest = record.enqueued_at
        if len(self.samples) < SAMPLES:
            self.samples.append(record)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.argument("which", nargs=-1, metavar="IDS… | SEARCH…"),
        click.option("--dry-run", is_flag=True, help="Only show which jobs match."),
        click.option("--yes", is_flag=True, help="Do not ask; needed where there is no terminal."),
        click.option("--json", "as_json", is_flag=True, help="One JSON document."),
    ):
        command = option(command)
    return store_options(command)


@click.command("retry", cls=Command)
@_options
def retry(**options: Any) -> None:
    """Make ended jobs ready again, with a fresh budget of attempts.

    By ids, or by search words as for `jobs ls`; those leave successful jobs alone unless state:successful is given.
    """
    _operate(RETRY, **options)


@click.command("cancel", cls=Command)
@_options
def cancel(**options: Any) -> None:
    """End waiting jobs, and ask running ones to stop; by ids, or by search words as for `jobs ls`."""
    _operate(CANCEL, **options)


def _operate(
    verb: Verb,
    *,
    which: tuple[str, ...],
    app_path: str | None,
    url: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    if not which:
        raise Stop(
            Exit.REFUSED, f"nothing is named, and every job is never meant: give ids or search words to {verb.name}"
        )
    with existing_store(app_path, url) as app:
        if all(map(is_id, which)):
            _named(verb, app, which, dry_run=dry_run, as_json=as_json)
        elif any(map(is_id, which)):
            raise ConfigurationError("give ids or search words, not both; id:… is a search word")
        else:
            _searched(verb, app, which, dry_run=dry_run, yes=yes, as_json=as_json)


def _named(verb: Verb, app: Comanda, words: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    ids = list(dict.fromkeys(find_id(word, app) for word in words))
    records = app.broker.get(ids)
    missing = [to_text(job_id) for job_id, record in zip(ids, records, strict=True) if record is None]
    if missing:
        raise JobNotFound(f"there is no job {', '.join(missing)}; nothing was done")
    able = tuple(record.id for record in records if record is not None and record.state in verb.states)
    done = able if dry_run else tuple(verb.apply(app.broker, JobFilter(ids=able)))
    _report(verb, len(ids), len(done), dry_run=dry_run, as_json=as_json)
    refused = [record for record in records if record is not None and record.id not in done]
    if refused:
        jobs = ", ".join(f"{to_text(record.id)} ({record.state.value})" for record in refused)
        raise Stop(Exit.REFUSED, f"not {verb.done}: {jobs}; {verb.name} takes {_listed(verb.states)} jobs")


def _searched(verb: Verb, app: Comanda, words: Sequence[str], *, dry_run: bool, yes: bool, as_json: bool) -> None:
    which = filter_of(words, app)
    wanted = tuple(state for state in verb.states if state in (which.states or verb.searched))
    if not wanted:
        raise Stop(Exit.REFUSED, f"{verb.name} takes {_listed(verb.states)} jobs, and the search asks for others")
    matched = _collect(app.broker, msgspec.structs.replace(which, states=wanted))
    if not matched.ids:
        say(f"no {_listed(wanted)} job matches")
    else:
        _preview(matched, app.now(), err=as_json)
    if matched.ids and not dry_run:
        _confirm(verb, len(matched.ids), yes=yes)
    done = len(matched.ids) if dry_run else _apply(verb, app.broker, matched.ids, wanted)
    _report(verb, len(matched.ids), done, dry_run=dry_run, as_json=as_json)


def _collect(broker: Broker, which: JobFilter) -> Matched:
    matched = Matched()
    for record in _pages(broker, which):
        matched.add(record)
    return matched


def _pages(broker: Broker, which: JobFilter) -> Iterator[JobRecord]:
    after = None
    while True:
        page = broker.find(which, limit=STEP, after=after)
        yield from page
        if len(page) < STEP:
            return
        after = page[-1].id


def _preview(matched: Matched, now: Micros, *, err: bool) -> None:
    states = ", ".join(f"{count:,} {state}" for state, count in matched.states.most_common())
    tasks = ", ".join(f"{count:,} {task}" for task, count in matched.tasks.most_common(SAMPLES))
    oldest = length(now - matched.oldest)
    line(f"{_jobs(len(matched.ids))} match: {states}; {tasks}; the oldest is {oldest} old", err=err)
    rows = [
        (to_text(record.id), views.task_name(record), views.state_words(record, now), views.error_words(record.failure))
        for record in matched.samples
    ]
    table(("ID", "TASK", "STATE", "ERROR"), rows, err=err)
    if len(matched.ids) > len(rows):
        line(f"… and {len(matched.ids) - len(rows):,} more", err=err)


def _confirm(verb: Verb, count: int, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Stop(Exit.REFUSED, f"nothing was done: without a terminal to ask on, {verb.name} needs --yes")
    if not click.confirm(f"{verb.name.capitalize()} {_jobs(count)}?", err=True):
        raise Stop(Exit.REFUSED, "nothing was done")


def _apply(verb: Verb, broker: Broker, ids: list[bytes], states: tuple[State, ...]) -> int:
    steps = (tuple(ids[start : start + STEP]) for start in range(0, len(ids), STEP))
    return sum(len(verb.apply(broker, JobFilter(ids=step, states=states))) for step in steps)


def _report(verb: Verb, matched: int, done: int, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        document({"verb": verb.name, "matched": matched, "done": 0 if dry_run else done, "dry_run": dry_run})
    elif dry_run:
        line(f"{_jobs(done)} would be {verb.done}")
    elif done or matched:
        line(f"{verb.done} {done:,} of {_jobs(matched)}")


def _jobs(count: int) -> str:
    return f"{count:,} job{'' if count == 1 else 's'}"


def _listed(states: Sequence[State]) -> str:
    return " or ".join(filter(None, (", ".join(states[:-1]), states[-1])))
