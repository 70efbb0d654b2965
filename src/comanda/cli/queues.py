"""`comanda queues`, and pausing and resuming one."""

from __future__ import annotations

from typing import Any

import click

from ..app import Comanda
from ..brokers.records import QueueRecord, State
from ..clock import Micros, to_datetime
from .exits import Group
from .output import document, json_lines, line, say, table
from .search import unknown
from .targets import existing_store, store_options
from .times import length

_ALWAYS = (State.READY, State.RUNNING, State.FAILED)


class _ListByDefault(Group):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read `queues` and `queues --json` as `queues ls …`."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["ls", *args]
        return super().parse_args(ctx, args)


@click.group("queues", cls=_ListByDefault)
def queues() -> None:
    """List the queues with their counts, pause and resume them."""


@queues.command("ls")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--jsonl", "as_lines", is_flag=True, help="One JSON document a queue.")
@store_options
def ls(as_json: bool, as_lines: bool, app_path: str | None, url: str | None) -> None:
    """List the queues with their jobs by state and the age of the oldest ready one."""
    with existing_store(app_path, url) as app:
        records = app.broker.queues()
        documents = [queue_document(record, app.now()) for record in records]
        if as_lines:
            json_lines(documents)
        elif as_json:
            document({"queues": documents})
        elif records:
            print_queues(records, app.now())
        else:
            say("there is no queue yet: the first job makes one")


@queues.command("pause")
@click.argument("name")
@store_options
def pause(name: str, app_path: str | None, url: str | None) -> None:
    """Hand out no more jobs of a queue; running ones go on."""
    with existing_store(app_path, url) as app:
        _known(app, name)
        app.broker.pause(name)
        line(f"queue {name} is paused: comanda queues resume {name}")


@queues.command("resume")
@click.argument("name")
@store_options
def resume(name: str, app_path: str | None, url: str | None) -> None:
    """Hand out jobs of a paused queue again."""
    with existing_store(app_path, url) as app:
        _known(app, name)
        app.broker.resume(name)
        line(f"queue {name} hands out jobs again")


def queue_document(record: QueueRecord, now: Micros) -> dict[str, Any]:
    """Return a queue as plain values; the age is in seconds."""
    oldest = record.oldest_ready_at
    return {
        "queue": record.name,
        "kind": record.kind,
        "paused": record.paused,
        "counts": {state.value: record.counts.get(state, 0) for state in State},
        "oldest_ready_at": None if oldest is None else to_datetime(oldest),
        "oldest_ready_age": None if oldest is None else max(0, now - oldest) / 1_000_000,
    }


def print_queues(records: list[QueueRecord], now: Micros) -> None:
    """Print queues as a table; states that no queue has a job in are left out, but for the telling ones."""
    states = [state for state in State if state in _ALWAYS or any(record.counts.get(state) for record in records)]
    headings = [state.value.upper() for state in states]
    rows = [
        (
            record.name,
            *[f"{record.counts.get(state, 0):,}" for state in states],
            "-" if record.oldest_ready_at is None else length(now - record.oldest_ready_at),
            ", ".join(_notes(record)),
        )
        for record in records
    ]
    table(("QUEUE", *headings, "OLDEST", ""), rows, right=(*headings, "OLDEST"))


def _notes(record: QueueRecord) -> list[str]:
    return [note for note, holds in (("messages", record.kind == "messages"), ("paused", record.paused)) if holds]


def _known(app: Comanda, name: str) -> None:
    names = [record.name for record in app.broker.queues()]
    if name not in names:
        raise unknown("queue", name, names)
