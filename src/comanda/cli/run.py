"""`comanda run TASK name=value …`: enqueue one job, and wait for it if asked to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from ..app import Comanda
from ..brokers.records import JobRecord
from ..clock import to_datetime
from ..errors import ConfigurationError, JobError, JobFailed, JobNotFound
from ..ids import from_text
from ..job import Job
from ..task import Task
from . import views
from .exits import Command
from .info import living_workers, serves
from .output import document, line, say
from .search import complete, unknown
from .targets import closing, import_app, wanted_app
from .times import length, moment_of, seconds_of
from .values import arguments


@click.command("run", cls=Command)
@click.argument("task_name", metavar="TASK")
@click.argument("words", metavar="[NAME=VALUE]…", nargs=-1)
@click.option("--wait", is_flag=True, help="Wait for the end; exit 1 if the job fails, 124 if time runs out.")
@click.option("--timeout", type=seconds_of, metavar="TIME", help="With --wait: how long, such as 90 or 5m.")
@click.option("--in", "delay", type=seconds_of, metavar="TIME", help="Start after this time, such as 90 or 5m.")
@click.option("--at", "moment", type=moment_of, metavar="TIME", help="Start then: 2026-10-01T08:00+02:00.")
@click.option("--queue", metavar="NAME", help="Another queue than the task's own.")
@click.option("--priority", type=int, help="-100 to 100, higher first.")
@click.option("--key", metavar="KEY", help="No second unfinished job with this key.")
@click.option("--app", "app_path", metavar="APP", help="The app, module:attribute (or COMANDA_APP).")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def run(task_name: str, words: tuple[str, ...], app_path: str | None, **options: Any) -> None:
    """Enqueue a job of TASK, named with or without its module.

    Values are typed by the task's annotations: JSON where it fits, a string otherwise.
    """
    wait, timeout, as_json = options["wait"], options["timeout"], options["as_json"]
    if timeout is not None and not wait:
        raise click.UsageError("--timeout belongs to --wait")
    with closing(import_app(wanted_app(app_path))) as app:
        task = find_task(app, task_name)
        args, kwargs = arguments(task, words)
        job = task.using(**_using(options)).enqueue(*args, **kwargs)
        if not wait:
            _print_enqueued(app, job, as_json=as_json)
        else:
            _wait(app, job, timeout, as_json=as_json)


def find_task(app: Comanda, name: str) -> Task[..., Any]:
    """Return the task of this name or of this name in some module; end with near names when there is none."""
    found = {app.tasks[full].name: app.tasks[full] for full in complete(name, app.tasks)}
    if len(found) > 1:
        raise ConfigurationError(f"{name!r} is the name of several tasks: {', '.join(found)}")
    if not found:
        raise unknown("task", name, app.tasks)
    return next(iter(found.values()))


def _using(options: dict[str, Any]) -> dict[str, Any]:
    if options["delay"] is not None and options["moment"] is not None:
        raise click.UsageError("give --in or --at, not both")
    run_after: float | datetime | None = options["delay"]
    if options["moment"] is not None:
        run_after = to_datetime(options["moment"])
    return {
        "run_after": run_after,
        "queue": options["queue"],
        "priority": options["priority"],
        "unique_key": options["key"],
    }


def _print_enqueued(app: Comanda, job: Job[Any], *, as_json: bool) -> None:
    if as_json:
        document(views.row(_record(app, job)) | {"created": job.created})
        return
    line(job.id)
    done = "enqueued" if job.created else "already there, unfinished under this key:"
    say(f"{done} {job.task}; comanda jobs show {job.id}")


def _wait(app: Comanda, job: Job[Any], timeout: float | None, *, as_json: bool) -> None:
    try:
        if not as_json:
            say(f"enqueued {job.task} as {job.id}")
            _warn_without_worker(app, job)
        problem = _problem(job, timeout)
    except KeyboardInterrupt:
        say(f"job {job.id} goes on")
        raise
    record = _record(app, job)
    if as_json:
        document(views.detail(record))
    elif problem is None:
        line(views.result_text(record))
        say(f"successful after {length((record.finished_at or 0) - record.enqueued_at)}")
    if isinstance(problem, JobFailed):
        say(f"next: comanda jobs show {job.id} --traceback")
    if problem is not None:
        raise problem


def _problem(job: Job[Any], timeout: float | None) -> JobError | None:
    """Wait for the job's end; return why it has no result, if it has none."""
    try:
        job.result(timeout)
    except JobError as error:
        return error
    return None


def _record(app: Comanda, job: Job[Any]) -> JobRecord:
    record = app.broker.get([from_text(job.id)], attempts=True)[0]
    if record is None:
        raise JobNotFound(f"job {job.id} was deleted meanwhile")
    return record


def _warn_without_worker(app: Comanda, job: Job[Any]) -> None:
    if not any(serves(worker, job.queue) and job.task in worker.tasks for worker in living_workers(app)):
        say(f"no worker that is alive takes {job.task} from queue {job.queue}: it waits for one")
