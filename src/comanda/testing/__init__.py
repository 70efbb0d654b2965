"""What tests of applications and of brokers need. Importing it imports no test framework."""

from __future__ import annotations

from ..worker.inline import run_jobs
from .clock import FakeClock
from .enqueued import EnqueuedJob, assert_enqueued, enqueued
from .inline import inline

__all__ = ["EnqueuedJob", "FakeClock", "assert_enqueued", "enqueued", "inline", "run_jobs"]
