"""Every error comanda raises, in one tree.

    ComandaError
    ├── ConfigurationError           the program or its settings are wrong; nothing was sent
    │   ├── UnknownOption
    │   ├── MissingExtra
    │   ├── NotSupported
    │   └── SchemaMismatch
    ├── BrokerError                  the store did not do what was asked
    │   ├── BrokerUnavailable
    │   ├── BrokerTimeout
    │   └── EnqueueUncertain         .job_id
    ├── EnqueueError                 this job was refused; there is no job
    │   ├── InvalidArguments         .field
    │   ├── PayloadTooLarge          .size, .limit
    │   ├── DuplicateJob             .job_id
    │   ├── QueueFull
    │   └── NotInTransaction
    ├── QueueEmpty                   no message came in time (also a queue.Empty)
    └── JobError                     about one job
        ├── JobNotFound
        ├── JobFailed                .error_type, .error_message, .remote_traceback
        ├── JobCancelled
        ├── JobExpired
        └── ResultTimeout

    raised inside tasks
    ├── RetryLater(after=…)          run this job again later (Exception)
    ├── LostLease                    somebody else may run this job now (Exception)
    ├── Cancelled                    an operator asked this job to stop (BaseException)
    └── TimedOut                     the task's time limit has passed (BaseException)

The docstring of a class is its default message.
"""

from __future__ import annotations

import queue
from datetime import timedelta


class ComandaError(Exception):
    """comanda could not do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class ConfigurationError(ComandaError):
    """The program or its settings are wrong."""


class UnknownOption(ConfigurationError):
    """This option does not exist."""


class MissingExtra(ConfigurationError):
    """An optional dependency is not installed."""

    def __init__(self, extra: str, needed_for: str) -> None:
        super().__init__(f"{needed_for} needs an optional dependency: pip install 'comanda[{extra}]'")
        self.extra = extra


class NotSupported(ConfigurationError):
    """This broker cannot do that."""


class SchemaMismatch(ConfigurationError):
    """The store's schema and this version of comanda do not fit together."""


class BrokerError(ComandaError):
    """The store did not do what was asked."""


class BrokerUnavailable(BrokerError):
    """The store cannot be reached or used."""

    may_have_written = False
    """True when it failed in the middle of a commit: then nobody knows whether the write is there."""


class BrokerTimeout(BrokerError):
    """The store did not answer within the deadline; nothing was written."""


class EnqueueUncertain(BrokerError):
    """The deadline passed after the write was sent, or the store failed during the commit: the job may exist."""

    def __init__(self, job_id: str, reason: str = "the deadline passed after the write was sent") -> None:
        super().__init__(
            f"job {job_id}: {reason}, so the job may exist. "
            f"Enqueue again with using(id={job_id!r}): that never makes a second job."
        )
        self.job_id = job_id
        self.reason = reason


class EnqueueError(ComandaError):
    """The job was refused; there is no job."""


class InvalidArguments(EnqueueError):
    """The arguments do not fit the task. `field` names the parameter, or is None when none can be named."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class PayloadTooLarge(EnqueueError):
    """The encoded arguments are larger than the limit. `size` and `limit` are bytes."""

    def __init__(self, what: str, size: int, limit: int) -> None:
        super().__init__(
            f"{what}: {size:,} bytes encoded, the limit is {limit:,}. "
            "Store the data elsewhere and pass its key, or raise payload_limit."
        )
        self.size = size
        self.limit = limit


class DuplicateJob(EnqueueError):
    """An unfinished job holds this unique key. `job_id` is that job."""

    def __init__(self, unique_key: str, job_id: str) -> None:
        super().__init__(f"unique_key {unique_key!r} is held by the unfinished job {job_id}")
        self.job_id = job_id


class QueueFull(EnqueueError):
    """The queue has reached its bound."""


class NotInTransaction(EnqueueError):
    """using(connection=…) needs a connection with an open transaction."""


class QueueEmpty(ComandaError, queue.Empty):
    """The message queue stayed empty."""


class JobError(ComandaError):
    """Something about one job."""


class JobNotFound(JobError):
    """There is no job with this id; it may have been pruned."""


class JobFailed(JobError):
    """The job failed. `remote_traceback` is the text its worker stored."""

    def __init__(self, job: str, error_type: str, error_message: str, remote_traceback: str) -> None:
        super().__init__(f"{job} failed: {error_type}: {error_message}".rstrip(": "))
        self.error_type = error_type
        self.error_message = error_message
        self.remote_traceback = remote_traceback
        if remote_traceback:
            self.add_note(f"In the worker:\n{remote_traceback.rstrip()}")


class JobCancelled(JobError):
    """The job was cancelled."""


class JobExpired(JobError):
    """The job was not started before it expired."""


class ResultTimeout(JobError):
    """The job has not finished within the time given; it goes on."""


class RetryLater(Exception):
    """Raised inside a task: run this job again after `after` (seconds or timedelta), without spending an attempt."""

    def __init__(self, message: str = "", *, after: float | timedelta) -> None:
        super().__init__(message)
        self.after = after if isinstance(after, timedelta) else timedelta(seconds=after)
        if self.after < timedelta(0):
            raise ValueError(f"RetryLater: after must not be negative, got {after!r}")


class LostLease(Exception):
    """This worker no longer holds the job: its lease ended and somebody else may run it."""


class Cancelled(BaseException):
    """Raised inside a running task that was asked to stop."""


class TimedOut(BaseException):
    """Raised inside a running task whose time limit has passed."""


def copied(error: Exception) -> Exception:
    """Return a copy of an error that several callers get: one object would collect everybody's tracebacks."""
    kind = type(error)
    copy: Exception = kind.__new__(kind, *error.args)  # not its __init__: that takes what only its raiser knew
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    copy.__cause__ = error.__cause__
    return copy.with_traceback(error.__traceback__)
