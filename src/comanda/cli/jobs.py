"""`comanda jobs ls` and `comanda jobs show`."""

from __future__ import annotations

import click

from ..app import Comanda
from ..brokers.records import JobRecord, State
from ..errors import JobNotFound
from ..ids import to_text
from . import views
from .exits import Group
from .operate import cancel, retry
from .output import clean, document, fields, json_lines, line, say, table
from .search import filter_of, find_id
from .targets import existing_store, store_options
from .times import clock_time, length


@click.group("jobs", cls=Group)
def jobs() -> None:
    """Look at jobs, retry them, cancel them."""


jobs.add_command(retry)
jobs.add_command(cancel)


@jobs.command("ls")
@click.argument("search", nargs=-1)
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Jobs at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--jsonl", "as_lines", is_flag=True, help="One JSON document a job.")
@store_options
def ls(
    search: tuple[str, ...], limit: int, as_json: bool, as_lines: bool, app_path: str | None, url: str | None
) -> None:
    """List jobs, the newest first.

    SEARCH: state:failed task:send_mail queue:mail since:1h id:0192, all of which must hold; state:failed,expired
    matches either; state:waiting is ready and scheduled; since: is when the job was enqueued.
    """
    with existing_store(app_path, url) as app:
        found = app.broker.find(filter_of(search, app), limit=limit + 1)
        shown = found[:limit]
        if as_lines:
            json_lines(views.row(record) for record in shown)
        elif as_json:
            document({"jobs": [views.row(record) for record in shown], "more": len(found) > limit})
        elif shown:
            _print_list(app, shown)
        if not found:
            say("no job matches")
        elif len(found) > limit:
            say(f"these are the newest {limit}; more match: --limit {limit * 10}")


def _print_list(app: Comanda, records: list[JobRecord]) -> None:
    now = app.now()
    rows = [
        (
            to_text(record.id),
            views.task_name(record),
            views.state_words(record, now),
            record.attempt,
            length(now - record.enqueued_at),
            views.error_words(record.failure),
        )
        for record in records
    ]
    table(("ID", "TASK", "STATE", "TRY", "AGE", "ERROR"), rows, right=("TRY", "AGE"))


@jobs.command("show")
@click.argument("job_id", metavar="ID")
@click.option("--traceback", is_flag=True, help="Also the traceback of each attempt that has one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, tracebacks included.")
@store_options
def show(job_id: str, traceback: bool, as_json: bool, app_path: str | None, url: str | None) -> None:
    """Show one job with its attempts. The ID may be shortened while it is unique."""
    with existing_store(app_path, url) as app:
        record = app.broker.get([find_id(job_id, app)], attempts=True)[0]
        if record is None:
            raise JobNotFound(f"there is no job {job_id}; it may have been deleted or pruned")
        if as_json:
            document(views.detail(record))
            return
        _print_job(record, app.now())
        _print_attempts(record)
        if traceback:
            _print_tracebacks(record)
        _print_next(record, traceback=traceback)


def _print_job(record: JobRecord, now: int) -> None:
    line(views.call(record))
    facts = [
        ("id", to_text(record.id)),
        ("state", views.state_words(record, now)),
        ("queue", f"{record.queue}, priority {record.priority}"),
        ("enqueued", f"{clock_time(record.enqueued_at)}, {length(now - record.enqueued_at)} ago"),
    ]
    if record.state is State.SCHEDULED:
        facts.append(("due", clock_time(record.due)))
    if record.expires is not None:
        facts.append(("expires", clock_time(record.expires)))
    if record.finished_at is not None:
        facts.append(("finished", clock_time(record.finished_at)))
    if record.unique_key is not None:
        facts.append(("unique key", record.unique_key))
    if record.failure is not None:
        facts.append(("error", views.error_words(record.failure)))
    if record.result is not None:
        facts.append(("result", views.result_text(record)))
    facts += [(done.verb, f"{clock_time(done.at)} by {done.actor}") for done in record.operations or ()]
    fields(facts)


def _print_attempts(record: JobRecord) -> None:
    rows = [
        (
            attempt.number,
            clock_time(attempt.started_at),
            "" if attempt.finished_at is None else length(attempt.finished_at - attempt.started_at),
            attempt.outcome,
            f"{attempt.host}/{attempt.pid} {attempt.version}",
            views.error_words(attempt.failure),
        )
        for attempt in record.attempts or ()
    ]
    if rows:
        table(("TRY", "STARTED", "TOOK", "OUTCOME", "WORKER", "ERROR"), rows, right=("TRY", "TOOK"))


def _print_tracebacks(record: JobRecord) -> None:
    for attempt in record.attempts or ():
        if attempt.failure is not None and attempt.failure.traceback:
            line(f"\ntraceback of try {attempt.number}:\n{clean(attempt.failure.traceback).rstrip()}")


def _print_next(record: JobRecord, *, traceback: bool) -> None:
    job_id = to_text(record.id)
    has_traceback = any(attempt.failure and attempt.failure.traceback for attempt in record.attempts or ())
    if has_traceback and not traceback:
        say(f"next: comanda jobs show {job_id} --traceback")
    if record.state in (State.FAILED, State.CANCELLED, State.EXPIRED):
        say(f"next: comanda jobs retry {job_id}")
