"""`comanda info`: the store, its queues and its workers on one screen."""

from __future__ import annotations

from typing import Any

import click

from ..app import Comanda
from ..brokers.records import WorkerRecord
from ..clock import SECOND, Micros, to_datetime
from .exits import Command
from .output import document, fields, line, say, table
from .queues import print_queues, queue_document
from .targets import existing_store, store_options
from .times import length


@click.command("info", cls=Command)
@click.argument("app_argument", metavar="[APP]", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@store_options
def info(app_argument: str | None, as_json: bool, app_path: str | None, url: str | None) -> None:
    """Show the store, its queues and the workers that are alive."""
    with existing_store(app_argument or app_path, url) as app:
        records, now = app.broker.queues(), app.now()
        workers = living_workers(app)
        about = app.broker.describe() | {"namespace": app.namespace}
        if as_json:
            shown = [queue_document(record, now) for record in records]
            document(about | {"queues": shown, "workers": [worker_document(worker, now) for worker in workers]})
            return
        fields(about.items())
        if records:
            line("")
            print_queues(records, now)
        if workers:
            line("")
            _print_workers(workers, now, app.settings.lease)
        else:
            say("no worker is alive: comanda worker APP")


def living_workers(app: Comanda) -> list[WorkerRecord]:
    """Return the workers that the store does not know to have ended."""
    return [worker for worker in app.broker.workers() if worker.ended_at is None]


def heard_workers(app: Comanda) -> list[WorkerRecord]:
    """Return the living workers that were heard of within the last lease."""
    return [worker for worker in living_workers(app) if app.now() - worker.beat_at <= app.settings.lease * SECOND]


def serves(worker: WorkerRecord, queue: str) -> bool:
    """Return whether a worker takes jobs from a queue."""
    return worker.queues is None or queue in worker.queues


def worker_document(worker: WorkerRecord, now: Micros) -> dict[str, Any]:
    """Return a worker as plain values; the silence since its last heartbeat is in seconds."""
    return {
        "worker": worker.owner,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "kind": worker.kind,
        "started_at": to_datetime(worker.started_at),
        "silence": max(0, now - worker.beat_at) / SECOND,
        "queues": worker.queues,
        "tasks": worker.tasks,
    }


def _print_workers(workers: list[WorkerRecord], now: Micros, lease: float) -> None:
    rows = []
    for worker in workers:
        silence = now - worker.beat_at
        note = f"silent for {length(silence)}" if silence > lease * SECOND else ""
        served = "all" if worker.queues is None else ", ".join(worker.queues)
        up = length(now - worker.started_at)
        known = len([task for task in worker.tasks if task])
        rows.append((f"{worker.host}/{worker.pid}", worker.kind, worker.version, up, served, known, note))
    table(("WORKER", "KIND", "VERSION", "UP", "QUEUES", "TASKS", ""), rows, right=("UP", "TASKS"))
