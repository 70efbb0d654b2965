"""Logging through the standard library, with the job's id on every line that a task writes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from .context import running
from .secret import mask

FORMAT = "%(asctime)s %(levelname)s %(name)s %(job)s%(message)s"


class JobFilter(logging.Filter):
    """Adds `job_id` and `job` (as in the format) to each record, and masks the secrets of the running job."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Complete the record; lets every record pass."""
        job = running.get()
        job_id = record.__dict__.setdefault("job_id", "" if job is None else job.id)
        record.job = f"[{job_id}] " if job_id else ""
        if job is not None and job.secrets:
            _mask(record, job.secrets)
        return True


_plain = logging.Formatter()


def _mask(record: logging.LogRecord, secrets: Sequence[str]) -> None:
    """Replace what the record shows, the traceback included: exceptions love to quote what they choked on."""
    try:
        message = record.getMessage()
    except Exception as error:  # noqa: BLE001 - a wrong format must not end the task
        message = f"{record.msg} (and its arguments do not fit: {type(error).__name__})"
    record.msg, record.args = mask(message, secrets), None
    if record.exc_info:
        record.exc_text = _plain.formatException(record.exc_info)
        record.exc_info = None  # a handler that formats it again would show what was masked
    if record.exc_text:
        record.exc_text = mask(record.exc_text, secrets)
    if record.stack_info:
        record.stack_info = mask(record.stack_info, secrets)


def configure(level: str = "INFO") -> None:
    """Write the root logger's lines to standard error with job ids; leave a configured root logger's handlers alone.

    Handlers that exist get the filter, so that their formats may use %(job_id)s.
    """
    root = logging.getLogger()
    if not root.handlers:
        stream = logging.StreamHandler(sys.stderr)
        stream.setFormatter(logging.Formatter(FORMAT))
        root.addHandler(stream)
        root.setLevel(level.upper())
    for handler in root.handlers:
        if not any(isinstance(existing, JobFilter) for existing in handler.filters):
            handler.addFilter(JobFilter())
    logging.getLogger("comanda").setLevel(level.upper())
