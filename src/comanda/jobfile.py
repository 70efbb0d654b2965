"""The file that carries jobs from one store to another: JSON lines.

A header, one job a line in the order of their ids, and an end that says how many there were, so that a file that was
cut off is known by it. Times are integers, microseconds since 1970 UTC. Payload, options and result are text where
their bytes are UTF-8, else {"base64": "…"}. What has no meaning elsewhere (fence, version, parked) stays behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from .brokers.records import AttemptRecord, Failure, JobRecord, OperationRecord, State
from .clock import Micros
from .errors import ConfigurationError
from .ids import from_text, to_text
from .version import __version__

FORMAT = 1

Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Bytes(Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes that are no text."""

    base64: bytes


class Header(Struct, frozen=True, kw_only=True, tag="header", tag_field="line"):
    """The first line. `paused` names the queues that handed out nothing when the export began, at `exported_at`."""

    format: int
    store: str
    namespace: str
    exported_at: Integer
    comanda: str = __version__
    paused: tuple[str, ...] = ()


class Job(
    Struct, frozen=True, kw_only=True, tag="job", tag_field="line", omit_defaults=True, forbid_unknown_fields=True
):
    """One job or message: the fields of a JobRecord."""

    id: str
    task: str
    queue: Annotated[str, Meta(min_length=1)]
    state: State
    due: Integer
    enqueued_at: Integer
    payload: str | Bytes
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    started_at: Integer | None = None
    finished_at: Integer | None = None
    expires: Integer | None = None
    attempt: Count = 0
    crashes: Count = 0
    stop_requested: bool = False
    unique_key: str | None = None
    options: str | Bytes | None = None
    result: str | Bytes | None = None
    failure: Failure | None = None
    attempts: list[AttemptRecord] = []
    operations: list[OperationRecord] = []


class End(Struct, frozen=True, tag="end", tag_field="line"):
    """The last line."""

    jobs: int


_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Header | Job | End] = msgspec.json.Decoder(Header | Job | End)


def write(
    records: Iterable[JobRecord], *, store: str, namespace: str, now: Micros, paused: Iterable[str]
) -> Iterator[bytes]:
    """Yield the lines of a file with these jobs, whose attempts and operations must have been read."""
    header = Header(format=FORMAT, store=store, namespace=namespace, exported_at=now, paused=tuple(paused))
    yield _encode(header) + b"\n"
    jobs = 0
    for jobs, record in enumerate(records, 1):  # noqa: B007 - the last number is how many there were
        yield _encode(_line(record)) + b"\n"
    yield _encode(End(jobs)) + b"\n"


def read(lines: Iterable[bytes]) -> tuple[Header, Iterator[JobRecord]]:
    """Return the header of a file and its jobs, read as they are asked for.

    Raises ConfigurationError, which names the line, at the first one that is not as it should be: in the jobs as well.
    """
    numbered = iter(enumerate(lines, 1))
    header = _parse(*next(numbered, (1, b"")))
    if not isinstance(header, Header):
        raise ConfigurationError("line 1 is no header of an export: this is not a file of comanda db export")
    if header.format != FORMAT:
        raise ConfigurationError(f"line 1: this is format {header.format} of the file, and this comanda knows {FORMAT}")
    return header, _jobs(numbered)


def _jobs(numbered: Iterator[tuple[int, bytes]]) -> Iterator[JobRecord]:
    jobs = 0
    for number, text in numbered:
        line = _parse(number, text)
        if isinstance(line, Job):
            yield _record(number, line)
            jobs += 1
        elif isinstance(line, End):
            if line.jobs != jobs:
                raise ConfigurationError(f"line {number}: {line.jobs} jobs were exported, and here are {jobs}")
            _expect_nothing(numbered)
            return
        else:
            raise ConfigurationError(f"line {number}: a second header; import one export at a time")
    raise ConfigurationError(f"the file ends behind {jobs} jobs without its last line: it was cut off")


def _expect_nothing(numbered: Iterator[tuple[int, bytes]]) -> None:
    for number, _ in numbered:
        raise ConfigurationError(f"line {number} stands behind the end of the export")


def _parse(number: int, text: bytes) -> Header | Job | End:
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"line {number} cannot be read: {error}") from None


def _line(record: JobRecord) -> Job:
    return Job(
        id=to_text(record.id),
        task=record.task,
        queue=record.queue,
        state=record.state,
        priority=record.priority,
        due=record.due,
        enqueued_at=record.enqueued_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
        expires=record.expires,
        attempt=record.attempt,
        crashes=record.crashes,
        stop_requested=record.stop_requested,
        unique_key=record.unique_key,
        payload=_text(record.payload),
        options=None if record.options is None else _text(record.options),
        result=None if record.result is None else _text(record.result),
        failure=record.failure,
        attempts=record.attempts or [],
        operations=record.operations or [],
    )


def _record(number: int, job: Job) -> JobRecord:
    if job.state.is_terminal and job.finished_at is None:
        raise ConfigurationError(f"line {number}: a job that is {job.state.value} must say when: finished_at")
    try:
        job_id = from_text(job.id)
    except ConfigurationError as error:
        raise ConfigurationError(f"line {number}: {error}") from None
    return JobRecord(
        id=job_id,
        task=job.task,
        queue=job.queue,
        state=job.state,
        priority=job.priority,
        due=job.due,
        enqueued_at=job.enqueued_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        attempt=job.attempt,
        crashes=job.crashes,
        fence=0,
        version=0,
        parked=False,
        payload=_bytes(job.payload),
        result=None if job.result is None else _bytes(job.result),
        failure=job.failure,
        options=None if job.options is None else _bytes(job.options),
        unique_key=job.unique_key,
        expires=job.expires,
        stop_requested=job.stop_requested,
        attempts=job.attempts,
        operations=job.operations,
    )


def _text(data: bytes) -> str | Bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Bytes(data)


def _bytes(text: str | Bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text.base64
