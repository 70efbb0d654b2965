"""Logging through the standard library, with the job's id on every line that a task writes."""

from __future__ import annotations

import logging
import sys

from .context import running
from .secret import mask

FORMAT = "%(asctime)s %(levelname)s %(name)s %(job)s%(message)s"


class JobFilter(logging.Filter):
    """Adds `job_id` and `job` (as in the format) to each record, and masks the secrets of the running job."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Complete the record; lets every record pass."""
        job = running.get()
        if not hasattr(record, "job_id"):
            record.job_id = "" if job is None else job.id
        record.job = f"[{record.job_id}] " if record.job_id else ""
        if job is not None and job.secrets:
            record.msg, record.args = mask(record.getMessage(), job.secrets), None
        return True


def configure(level: str = "INFO") -> None:
    """Write the root logger's lines to standard error with job ids; leave a configured root logger's handlers alone.

    Handlers that exist get the filter, so that their formats may use %(job_id)s.
    """
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(FORMAT))
        root.addHandler(handler)
        root.setLevel(level.upper())
    for handler in root.handlers:
        if not any(isinstance(existing, JobFilter) for existing in handler.filters):
            handler.addFilter(JobFilter())
    logging.getLogger("comanda").setLevel(level.upper())
