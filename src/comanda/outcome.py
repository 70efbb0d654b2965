"""From what a task returned or raised to what is written down. Pure: no clock, no store, no logging."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from .brokers.records import Claimed, Failure, Kind, Outcome
from .clock import Micros, duration
from .errors import Cancelled, RetryLater, TimedOut
from .retry import Retry
from .secret import mask

MESSAGE_LIMIT = 2_000
"""Characters kept of an exception's text."""

NAME_LIMIT = 200
"""Characters kept of the name of an exception's class."""

TRACEBACK_LIMIT = 20_000
"""Characters kept of a traceback: its end, where the cause stands."""


def succeeded(job: Claimed, result: bytes, started_at: Micros, finished_at: Micros) -> Outcome:
    """Return the outcome of a task that returned `result` (encoded)."""
    return Outcome(job, Kind.SUCCESS, started_at, finished_at, result)


def raised(
    job: Claimed,
    error: BaseException,
    retry: Retry,
    started_at: Micros,
    finished_at: Micros,
    secrets: Sequence[str] = (),
) -> Outcome:
    """Return the outcome of a task that raised `error`: snoozed, retried, cancelled or failed.

    Attempts that ended because a worker died do not count against `max_attempts` (guarantee 2).
    """
    if isinstance(error, RetryLater):
        failure = describe(error, secrets, reason="snoozed")
        return Outcome(job, Kind.SNOOZE, started_at, finished_at, None, failure, duration(error.after, "RetryLater"))
    if isinstance(error, Cancelled):
        return Outcome(job, Kind.CANCEL, started_at, finished_at, None, describe(error, secrets, reason="cancelled"))
    failure = describe(error, secrets, reason="timeout" if isinstance(error, TimedOut) else "exception")
    delay, failure = _delay(job, error, retry, failure)
    if delay is None:
        return Outcome(job, Kind.FAILURE, started_at, finished_at, None, failure)
    return Outcome(job, Kind.RETRY, started_at, finished_at, None, failure, delay)


def _delay(job: Claimed, error: BaseException, retry: Retry, failure: Failure) -> tuple[Micros | None, Failure]:
    """Ask the policy; a policy of the user's that raises gives up, and the failure says so."""
    try:
        return retry.next_delay(job.attempt - job.crashes, error), failure
    except BaseException as broken:  # noqa: BLE001 - nothing a user's function raises may stop an outcome (R26)
        note = f"{failure.message} (and its retry policy raised {_name(broken)}, so it was given up)"
        return None, Failure(failure.type, note, failure.traceback, failure.reason)


def undecodable(job: Claimed, sentence: str, now: Micros) -> Outcome:
    """Return the failure of a job whose stored arguments do not fit its task: no retry can help."""
    return Outcome(job, Kind.FAILURE, now, now, None, Failure("UndecodablePayload", sentence, "", "undecodable"))


def unencodable(job: Claimed, sentence: str, started_at: Micros, finished_at: Micros) -> Outcome:
    """Return the failure of a job that ran but whose result cannot be stored."""
    failure = Failure("UnencodableResult", sentence, "", "result")
    return Outcome(job, Kind.FAILURE, started_at, finished_at, None, failure)


def handed_back(job: Claimed, delay: Micros = 0) -> Outcome:
    """Return the outcome of a job that goes back without spending an attempt."""
    return Outcome(job, Kind.RELEASE, delay=delay)


def unspeakable(job: Claimed, broken: BaseException, started_at: Micros, finished_at: Micros) -> Outcome:
    """Return the failure of a task that raised an exception whose own code raised `broken` when it was looked at."""
    note = f"the task raised an exception that cannot be told: looking at it raised {_name(broken)}"
    return Outcome(job, Kind.FAILURE, started_at, finished_at, None, Failure("Exception", note, "", "exception"))


def describe(error: BaseException, secrets: Sequence[str] = (), *, reason: str = "exception") -> Failure:
    """Return an exception as text: type name, message and traceback, capped, storable, with secrets masked."""
    try:
        message = str(error)
    except BaseException as broken:  # noqa: BLE001 - a failing __str__ must not hide the failure (R26)
        message = f"<its text could not be made: {_name(broken)}>"
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException as broken:  # noqa: BLE001 - the same for the traceback
        text = f"<its traceback could not be made: {_name(broken)}>"
    return Failure(
        _name(error),
        _storable(mask(message, secrets))[:MESSAGE_LIMIT],
        _storable(mask(text, secrets))[-TRACEBACK_LIMIT:],
        reason,
    )


def _name(error: BaseException) -> str:
    """Return the name of the exception's class, past a metaclass of the user's, and of a length and form to store."""
    return _storable(type.__dict__["__qualname__"].__get__(type(error)))[:NAME_LIMIT]


def _storable(text: str) -> str:
    """Return `text` with what no store takes escaped: NUL and lone surrogates (F18)."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
