"""A job's two parts as bytes: what never changes, and what does. `scripts/common.lua` knows the same layout."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from ..records import AttemptRecord, Failure, JobRecord, NewJob, OperationRecord, Outcome, State

Who = tuple[str, int, str]
"""Host, pid and version of a worker."""

NOBODY: Who = ("?", 0, "?")
"""A worker that the store has forgotten."""

UNIQUE, EXPIRES = 2, 4
"""Bits of a job's n say what it has, so that settling and claiming need not look it up."""

STOP, TIMELESS = 1, 2
"""Flags in a job's state: asked to stop; its expiry counts no longer."""

RESULT = b"\x01"
"""Stands before a result, which may be empty."""

_STATE = struct.Struct(">cIIQIHIBqqq")

_SUCCESSFUL = b"S"

_CODES = {
    State.SCHEDULED: b"s",
    State.READY: b"r",
    State.RUNNING: b"R",
    State.SUCCESSFUL: _SUCCESSFUL,
    State.FAILED: b"F",
    State.CANCELLED: b"C",
    State.EXPIRED: b"E",
}
PARKED = b"P"
"""A ready job that is held back."""

STATES = {code.decode(): state for state, code in _CODES.items()} | {"P": State.READY}


class Body(Struct, array_like=True, frozen=True, gc=False):
    """What never changes of a job. `due` is 0 when it was due at once."""

    n: int
    enqueued: int
    due: int
    priority: int
    expires: int | None
    unique_key: str | None
    task: str
    queue: str
    options: bytes | None
    payload: bytes


class _Rest(Struct, array_like=True, frozen=True, gc=False):
    """The part of `Body` that does not depend on the store."""

    priority: int
    expires: int | None
    unique_key: str | None
    task: str
    queue: str
    options: bytes | None
    payload: bytes


class _Attempt(Struct, array_like=True, frozen=True, gc=False):
    """An attempt as it is stored: `who` is an owner, or what another store knew of it."""

    number: int
    outcome: str
    started: int
    finished: int | None
    who: int | Who
    failure: Failure | None


encode = msgspec.msgpack.Encoder().encode
body = msgspec.msgpack.Decoder(Body).decode
_attempt = msgspec.msgpack.Decoder(_Attempt).decode
_operation = msgspec.msgpack.Decoder(tuple[str, int, str]).decode
_LENGTH = struct.Struct(">I")


def rest_of(job: NewJob | JobRecord) -> bytes:
    """Return what a job's blob ends in; the script puts n, enqueue and due time before it."""
    fields = _Rest(job.priority, job.expires, job.unique_key, job.task, job.queue, job.options, job.payload)
    return encode(fields)[1:]  # without the head of the array: the whole has another one


def flags_of_n(job: NewJob | JobRecord) -> int:
    """Return the lowest bits of a job's n."""
    return (job.unique_key is not None) * UNIQUE + (job.expires is not None) * EXPIRES


def codes(states: Sequence[State]) -> dict[str, bool]:
    """Return the codes of some states as a set that Lua can read."""
    return {code: True for code, state in STATES.items() if state in states}


def code_of(state: State) -> str:
    """Return the code of a state."""
    return _CODES[state].decode()


def encode_attempt(
    number: int, outcome: str, times: tuple[int, int | None], who: int | Who, failure: Failure | None
) -> bytes:
    """Return an attempt as it is stored."""
    return encode(_Attempt(number, outcome, *times, who, failure))


def encode_operation(operation: OperationRecord) -> bytes:
    """Return an operation as it is stored."""
    return encode((operation.verb, operation.at, operation.actor))


def first_success(owner: int, outcome: Outcome) -> bytes:
    """Return the state of a job that succeeded at its first attempt and was left alone before."""
    state = _STATE.pack(_SUCCESSFUL, owner, 1, outcome.job.n, 1, 0, 2, 0, 0, outcome.started_at, outcome.finished_at)
    return state if outcome.result is None else state + RESULT + outcome.result


def held_field(state: bytes, job_id: bytes) -> bytes:
    """Return what an owner's hash calls a job it holds for the first time: the six bytes of n, and the id."""
    return state[11:17] + job_id


class Stored(Struct, frozen=True, gc=False):
    """A job as it came from the store: its parts, its attempts and its operations, encoded; empty without any."""

    id: bytes
    blob: bytes
    state: bytes
    attempts: bytes
    operations: bytes = b""

    def record(self) -> JobRecord:
        """Return the job as it is shown, without its history."""
        job = body(self.blob)
        due_at_first = job.due or job.enqueued
        code, _, fence, _, attempt, crashes, version, flags, due, started, finished = self._state(job)
        state = STATES[code.decode()]
        attempts = self._attempts()
        return JobRecord(
            id=self.id,
            task=job.task,
            queue=job.queue,
            state=state,
            priority=job.priority,
            due=due or due_at_first,
            enqueued_at=job.enqueued,
            started_at=started or None,
            finished_at=finished or None,
            attempt=attempt,
            crashes=crashes,
            fence=fence,
            version=version,
            parked=code == PARKED,
            payload=job.payload,
            result=self._result(),
            failure=attempts[-1].failure if attempts and state is not State.SUCCESSFUL else None,
            options=job.options,
            unique_key=job.unique_key,
            expires=None if flags & TIMELESS else job.expires,
            stop_requested=bool(flags & STOP),
        )

    def owners(self) -> set[int]:
        """Return the owners whose names its history needs."""
        return {attempt.who for attempt in self._attempts() if isinstance(attempt.who, int)} | {self._owner()} - {0}

    def with_history(self, workers: dict[int, Who]) -> JobRecord:
        """Return the job as it is shown, with its attempts and operations."""
        job = self.record()
        job.attempts = [_shown(attempt, workers) for attempt in self._attempts()]
        owner = self._owner()
        if owner and job.state in (State.RUNNING, State.SUCCESSFUL):  # its last attempt is not among those written down
            last = _Attempt(job.attempt, job.state.value, job.started_at or 0, job.finished_at, owner, None)
            job.attempts.append(_shown(last, workers))
        job.operations = [OperationRecord(*_operation(entry)) for entry in _entries(self.operations)]
        return job

    def _owner(self) -> int:
        return int(_STATE.unpack_from(self.state)[1]) if self.state else 0

    def _result(self) -> bytes | None:
        return self.state[_STATE.size + 1 :] if len(self.state) > _STATE.size else None

    def _state(self, job: Body) -> tuple[bytes, int, int, int, int, int, int, int, int, int, int]:
        if self.state:
            return _STATE.unpack_from(self.state)
        code = _CODES[State.SCHEDULED if job.due > job.enqueued else State.READY]
        return code, 0, 0, job.n, 0, 0, 0, 0, 0, 0, 0

    def _attempts(self) -> list[_Attempt]:
        return [_attempt(entry) for entry in _entries(self.attempts)]


def joined(entries: Iterable[bytes]) -> bytes:
    """Return attempts or operations as they are stored, one behind the other."""
    return b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)


def _entries(text: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(text):
        begin = at + _LENGTH.size
        at = begin + _LENGTH.unpack_from(text, at)[0]
        yield text[begin:at]


def _shown(attempt: _Attempt, workers: dict[int, Who]) -> AttemptRecord:
    host, pid, version = workers.get(attempt.who, NOBODY) if isinstance(attempt.who, int) else attempt.who
    return AttemptRecord(
        number=attempt.number,
        outcome=attempt.outcome,
        started_at=attempt.started,
        finished_at=attempt.finished,
        host=host,
        pid=pid,
        version=version,
        failure=attempt.failure,
    )


def counters(state: bytes) -> tuple[int, int, int]:
    """Return fence, attempt and crashes."""
    _, _, fence, _, attempt, crashes, *_ = _STATE.unpack_from(state)
    return fence, attempt, crashes
