"""What the log says about jobs: every failure, and successes as long as there are few enough to read.

Up to RATE jobs a second each have a line of their own; what is more is summed up every SUMMARY seconds: at 50,000 jobs
a second, formatting one line each would cost more than the jobs (PY8). No arguments, results or exception texts: they
may hold user data (security guide S14). Those stand in the store, for `comanda jobs show ID`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from ..brokers.records import Kind, Outcome
from ..clock import SECOND
from ..errors import LostLease
from ..ids import to_text

RATE = 100
"""Lines a second for jobs that succeeded."""

SUMMARY = 10.0
"""Seconds between two lines that sum up the rest."""

_log = logging.getLogger("comanda.worker")


class JobLog:
    """Writes the lines of one child's jobs. Used by its storage thread alone."""

    def __init__(self) -> None:
        self._second = 0
        self._lines = 0
        self._unsaid = 0
        self._since = time.monotonic()

    def settled(self, outcomes: Sequence[Outcome]) -> None:
        """Tell of outcomes that were written."""
        failures = [outcome for outcome in outcomes if outcome.kind is not Kind.SUCCESS]
        for outcome in failures:
            _tell_failure(outcome)
        successes = len(outcomes) - len(failures)
        if successes and _log.isEnabledFor(logging.INFO):
            if self._may_write(successes):
                for outcome in outcomes:
                    if outcome.kind is Kind.SUCCESS:
                        _tell(logging.INFO, outcome, "finished in %s", _duration(outcome))
            else:
                self._unsaid += successes

    def refused(self, outcomes: Sequence[Outcome]) -> None:
        """Tell of outcomes that came too late."""
        for outcome in outcomes:
            _tell(logging.WARNING, outcome, "its outcome was refused (%s: %s)", LostLease.__name__, LostLease.__doc__)

    def sum_up(self, *, at_once: bool = False) -> None:
        """Write the summary when it is due, or at once at the end."""
        now = time.monotonic()
        if now - self._since < SUMMARY and not at_once:
            return
        if self._unsaid:
            _log.info("%s more jobs finished in %.0f s", f"{self._unsaid:,}", max(1.0, now - self._since))
        self._unsaid = 0
        self._since = now

    def _may_write(self, lines: int) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += lines
        return self._lines <= RATE


def _tell_failure(outcome: Outcome) -> None:
    kind, failure = outcome.kind, outcome.failure
    if failure is None:  # handed back: it has not run
        return
    if kind is Kind.SNOOZE:
        _tell(logging.INFO, outcome, "asked to run later, in %s", _seconds(outcome.delay))
    elif kind is Kind.CANCEL:
        _tell(logging.WARNING, outcome, "was cancelled after %s", _duration(outcome))
    elif kind is Kind.RETRY:
        _tell(
            logging.WARNING,
            outcome,
            "raised %s after %s (attempt %d), runs again in %s",
            *(failure.type, _duration(outcome), outcome.job.attempt, _seconds(outcome.delay)),
        )
    else:
        _tell(
            logging.ERROR,
            outcome,
            "failed for good with %s after %s (attempt %d); see: comanda jobs show %s",
            *(failure.type, _duration(outcome), outcome.job.attempt, to_text(outcome.job.id)),
        )


def _tell(level: int, outcome: Outcome, text: str, *values: object) -> None:
    job = outcome.job
    _log.log(level, "%s " + text, job.task, *values, extra={"job_id": to_text(job.id)})


def _duration(outcome: Outcome) -> str:
    return _seconds(outcome.finished_at - outcome.started_at)


def _seconds(micros: int) -> str:
    return f"{micros / SECOND:.1f} s" if micros >= SECOND else f"{micros / 1000:.1f} ms"
