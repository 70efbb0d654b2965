"""What `using(…)` may say about a job, and the part of it that travels with the job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal, TypedDict
from uuid import UUID

import msgspec

from .clock import Micros, duration, from_datetime
from .errors import ConfigurationError
from .ids import from_text
from .retry import Retry

OnConflict = Literal["keep", "reject"]


class UsingOptions(TypedDict, total=False):
    """What `using(…)` takes."""

    run_after: float | timedelta | datetime | None
    priority: int | None
    queue: str | None
    unique_key: str | None
    on_conflict: OnConflict | None
    expires: float | timedelta | None
    retry: Retry | None
    timeout: float | timedelta | None
    id: str | UUID | None
    connection: Any


class JobOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a job says differently from its task; stored as JSON, None in the usual case."""

    retry: dict[str, Any] | None = None
    timeout: float | None = None
    content_type: str | None = None

    def policy(self, default: Retry) -> Retry:
        """Return the job's own numbers on top of the task's policy."""
        return default if self.retry is None else msgspec.structs.replace(default, **self.retry)


_decoder = msgspec.json.Decoder(JobOptions)


def decode(data: bytes) -> JobOptions:
    """Return stored options; raises msgspec.DecodeError when they are damaged."""
    return _decoder.decode(data)


def encode(options: JobOptions) -> bytes | None:
    """Return options to be stored, None when they say nothing."""
    return None if options == JobOptions() else msgspec.json.encode(options)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one enqueue. Times are microseconds; `due` is absolute, `delay` counts from the broker's now."""

    queue: str = "default"
    priority: int = 0
    due: Micros | None = None
    delay: Micros = 0
    expires_in: Micros | None = None
    unique_key: str | None = None
    on_conflict: OnConflict = "keep"
    id: bytes | None = None
    connection: Any = None
    stored: bytes | None = None

    def changed(self, **given: Any) -> Options:
        """Return a copy with what `using(…)` was given, each value checked."""
        return msgspec.structs.replace(self, **checked(given, self.stored))


def checked(given: dict[str, Any], stored: bytes | None = None) -> dict[str, Any]:
    """Return `using`'s keywords as fields of Options; raise ConfigurationError for a value that does not fit."""
    given = {key: value for key, value in given.items() if value is not None}
    fields: dict[str, Any] = {}
    if "run_after" in given:
        fields |= _when(given.pop("run_after"))
    if "expires" in given:
        fields["expires_in"] = duration(given.pop("expires"), "expires")
    if "id" in given:
        fields["id"] = from_text(given.pop("id"))
    if "retry" in given or "timeout" in given:
        fields["stored"] = _stored(stored, given.pop("retry", None), given.pop("timeout", None))
    for name, value in given.items():
        fields[name] = _CHECKS[name](value)
    return fields


def _when(run_after: Any) -> dict[str, Any]:
    if isinstance(run_after, datetime):
        return {"due": from_datetime(run_after, "run_after"), "delay": 0}
    return {"due": None, "delay": duration(run_after, "run_after")}


def _stored(stored: bytes | None, retry: Any, timeout: Any) -> bytes | None:
    options = decode(stored) if stored is not None else JobOptions()
    if retry is not None:
        options = msgspec.structs.replace(options, retry=_numbers(check_retry(retry)))
    if timeout is not None:
        options = msgspec.structs.replace(options, timeout=check_timeout(timeout))
    return encode(options)


def _numbers(retry: Retry) -> dict[str, Any]:
    """Return what of a policy travels with a job: all its numbers, since its task may declare other ones."""
    if retry.retry_on is not None or retry.give_up_on or retry.delay is not None:
        raise ConfigurationError(
            "using(retry=…): retry_on, give_up_on and delay are code and cannot travel with a job; "
            "declare them on the task: @app.task(retry=…)"
        )
    return {
        "max_attempts": retry.max_attempts,
        "backoff": _seconds(retry.backoff),
        "factor": retry.factor,
        "max_backoff": _seconds(retry.max_backoff),
        "jitter": retry.jitter,
    }


def _seconds(value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else value


def check_retry(retry: Any) -> Retry:
    """Return a retry policy; raise ConfigurationError when it is none."""
    if not isinstance(retry, Retry):
        raise ConfigurationError(f"retry takes Retry(max_attempts=…), got {retry!r:.100}")
    return retry


def check_timeout(timeout: Any) -> float:
    """Return a time limit in seconds; raise ConfigurationError when it is none."""
    seconds = duration(timeout, "timeout") / 1_000_000
    if seconds == 0:
        raise ConfigurationError("timeout must be more than 0 seconds")
    return seconds


def check_queue(name: Any) -> str:
    """Return the name of a queue; raise ConfigurationError when it is none."""
    if not isinstance(name, str) or not 0 < len(name) <= 100 or not name.isprintable():
        raise ConfigurationError(f"a queue's name is 1 to 100 printable characters, got {name!r:.120}")
    return name


def check_priority(priority: Any) -> int:
    """Return a priority; raise ConfigurationError unless it is a whole number from -100 to 100, as in Django."""
    if isinstance(priority, bool) or not isinstance(priority, int) or not -100 <= priority <= 100:
        raise ConfigurationError(f"priority must be a whole number from -100 to 100 (higher first), got {priority!r}")
    return priority


def _check_key(key: Any) -> str:
    if not isinstance(key, str) or not 0 < len(key) <= 500:
        raise ConfigurationError(f"unique_key must be a string of 1 to 500 characters, got {key!r:.120}")
    return key


def _check_conflict(policy: Any) -> str:
    if policy not in ("keep", "reject"):
        raise ConfigurationError(f"on_conflict must be 'keep' or 'reject', got {policy!r}")
    return str(policy)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "queue": check_queue,
    "priority": check_priority,
    "unique_key": _check_key,
    "on_conflict": _check_conflict,
    "connection": lambda connection: connection,
}
