"""comanda: the task queue that needs no server to start and never loses a job."""

from __future__ import annotations

from .app import Comanda
from .attempt import Attempt
from .brokers.records import State
from .context import current_job
from .errors import (
    BrokerError,
    BrokerTimeout,
    BrokerUnavailable,
    Cancelled,
    ComandaError,
    ConfigurationError,
    DuplicateJob,
    EnqueueError,
    EnqueueUncertain,
    InvalidArguments,
    JobCancelled,
    JobError,
    JobExpired,
    JobFailed,
    JobNotFound,
    LostLease,
    MissingExtra,
    NotInTransaction,
    NotSupported,
    PayloadTooLarge,
    QueueEmpty,
    QueueFull,
    ResultTimeout,
    RetryLater,
    SchemaMismatch,
    TimedOut,
    UnknownOption,
)
from .job import Job
from .message_queue import Message, MessageQueue
from .retry import Retry
from .secret import Secret
from .task import Task
from .version import __version__

__all__ = [
    "Attempt",
    "BrokerError",
    "BrokerTimeout",
    "BrokerUnavailable",
    "Cancelled",
    "Comanda",
    "ComandaError",
    "ConfigurationError",
    "DuplicateJob",
    "EnqueueError",
    "EnqueueUncertain",
    "InvalidArguments",
    "Job",
    "JobCancelled",
    "JobError",
    "JobExpired",
    "JobFailed",
    "JobNotFound",
    "LostLease",
    "Message",
    "MessageQueue",
    "MissingExtra",
    "NotInTransaction",
    "NotSupported",
    "PayloadTooLarge",
    "QueueEmpty",
    "QueueFull",
    "ResultTimeout",
    "Retry",
    "RetryLater",
    "SchemaMismatch",
    "Secret",
    "State",
    "Task",
    "TimedOut",
    "UnknownOption",
    "__version__",
    "current_job",
]
