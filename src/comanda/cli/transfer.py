"""`comanda db export` and `comanda db import`: jobs from one store to another, through the contract alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import click
from msgspec import Struct

from .. import jobfile
from ..app import Comanda
from ..brokers.base import Broker
from ..brokers.factory import hide_password
from ..brokers.records import JobFilter, JobRecord
from ..errors import ComandaError, ConfigurationError
from ..ids import to_text
from .exits import Command, Exit, Stop
from .info import heard_workers
from .output import document, line, say
from .targets import closing, existing_store, named_app, store_options

PAGE = 250
"""Jobs that an export holds in memory."""

BATCH = 1_000
"""Jobs of one transaction of an import, at most."""

BATCH_BYTES = 16 * 1024 * 1024
"""Payloads and results of one such transaction after which it ends earlier."""

_NAMED = 5


class Taken(Struct):
    """What an import has done so far; `refused` are jobs whose unique key another unfinished job holds."""

    new: int = 0
    existed: int = 0
    refused: list[bytes] = []


@click.command("export", cls=Command)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")
@store_options
def export_(file: Path, app_path: str | None, url: str | None) -> None:
    """Write all jobs and messages to FILE, or to standard output, as JSON lines.

    With their states, attempts, operations, arguments and results: FILE is readable for you alone. It is no snapshot
    while workers or producers go on; stop them to move a store without loss.
    """
    with existing_store(app_path, url) as app, _output(file) as stream:
        _warn_of_workers(app)
        paused = [queue.name for queue in app.broker.queues() if queue.paused]
        store = hide_password(app.broker.describe()["store"])
        lines = jobfile.write(_walk(app.broker), store=store, namespace=app.namespace, now=app.now(), paused=paused)
        written = sum(bool(stream.write(text)) for text in lines)
        say(f"exported {_jobs(written - 2)} of {store}")  # but for header and end


@click.command("import", cls=Command)
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--dry-run", is_flag=True, help="Only read FILE to its end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@store_options
def import_(file: IO[bytes], dry_run: bool, as_json: bool, app_path: str | None, url: str | None) -> None:
    """Read jobs and messages that `comanda db export` wrote, from FILE or standard input, into the store.

    Jobs that are there already stay as they are, so an import may be repeated. Running jobs come as ready. The first
    line that is not as it should be ends the import.
    """
    if dry_run:
        _, records = jobfile.read(file)
        line(f"{_jobs(sum(1 for _ in records))} could be imported; nothing was")
        return
    with closing(named_app(app_path, url)[1]) as app:
        taken = Taken()
        try:
            header = _import(app.broker, file, taken)
        except ComandaError:
            say(f"the import ended early: {_jobs(taken.new)} came in, none after them; it may be repeated")
            raise
        if as_json:
            document({"new": taken.new, "existed": taken.existed, "refused": [to_text(job) for job in taken.refused]})
        else:
            line(f"imported {_jobs(taken.new)} of {header.store}; {taken.existed:,} were here already")
        _refuse(taken)


def _walk(broker: Broker) -> Iterator[JobRecord]:
    """Yield every job by id, oldest first, with its attempts and operations."""
    after = None
    while page := broker.find(JobFilter(), limit=PAGE, after=after, oldest_first=True):
        after = page[-1].id
        for record in broker.get([found.id for found in page], attempts=True):
            if record is not None:  # else it was deleted since
                yield record


def _import(broker: Broker, file: Iterable[bytes], taken: Taken) -> jobfile.Header:
    header, records = jobfile.read(file)
    for batch in _batches(records):
        stored = broker.load(batch)
        left = [record.id for record, new in zip(batch, stored, strict=True) if not new]
        here = broker.states(left)
        taken.new += sum(stored)
        taken.existed += len([job for job in left if job in here])
        taken.refused += [job for job in left if job not in here]
    known = {queue.name for queue in broker.queues() if not queue.paused}
    for queue in known.intersection(header.paused):
        broker.pause(queue)
        say(f"queue {queue} is paused, as it was: comanda queues resume {queue}")
    return header


def _batches(records: Iterable[JobRecord]) -> Iterator[list[JobRecord]]:
    batch: list[JobRecord] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.payload) + len(record.result or b"")
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@contextmanager
def _output(file: Path) -> Iterator[BinaryIO]:
    """Yield where to write: standard output for `-`, else a new file, private, and gone again after an error."""
    if str(file) == "-":
        with _told(file):
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        raise Stop(Exit.REFUSED, f"{file} exists already: give the export a name of its own") from None
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from None
    try:
        with _told(file), os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(descriptor)
    except BaseException:
        file.unlink(missing_ok=True)
        raise


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """End the command with a sentence when the lines cannot be written; a reader that has gone away is no news."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Stop(Exit.FAILED, f"the export to {file} was cut off: {error.strerror}") from error


def _warn_of_workers(app: Comanda) -> None:
    alive = heard_workers(app)
    if alive:
        workers = "a worker is" if len(alive) == 1 else f"{len(alive)} workers are"
        say(f"{workers} alive, so this is no snapshot; to move without loss, stop workers and producers first")


def _refuse(taken: Taken) -> None:
    if taken.refused:
        shown = ", ".join(to_text(job) for job in taken.refused[:_NAMED])
        more = f" and {len(taken.refused) - _NAMED:,} more" if len(taken.refused) > _NAMED else ""
        raise Stop(
            Exit.REFUSED,
            f"not imported, because an unfinished job holds their unique key: {shown}{more}; "
            "let those jobs end or cancel them, then import again",
        )


def _jobs(count: int) -> str:
    return f"{count:,} job{'' if count == 1 else 's'}"
