"""What the log says about jobs, and what it never says."""

from __future__ import annotations

import logging
import time

import pytest

from comanda import Comanda
from comanda.brokers.records import Claimed, Failure, Kind, Outcome
from comanda.errors import JobFailed
from comanda.ids import to_text
from comanda.outcome import handed_back
from comanda.retry import NEVER
from comanda.worker import joblog
from comanda.worker.joblog import RATE, JobLog

from .support import SOON, Working

JOB = Claimed(1, bytes(range(16)), 1, 2, 0, "shop.send", "default", b"{}", None, 0)


def _outcome(kind: Kind, failure: Failure | None = None, delay: int = 0) -> Outcome:
    return Outcome(JOB, kind, 1_000_000, 3_500_000, None, failure, delay)


@pytest.mark.parametrize(
    ("outcome", "level", "text"),
    [
        (_outcome(Kind.SUCCESS), "INFO", "shop.send finished in 2.5 s"),
        (
            _outcome(Kind.RETRY, Failure("OSError", "s3cret"), 4_000),
            "WARNING",
            "shop.send raised OSError after 2.5 s (attempt 2), runs again in 4.0 ms",
        ),
        (_outcome(Kind.SNOOZE, Failure("RetryLater", "s3cret"), 60_000_000), "INFO", "asked to run later, in 60.0 s"),
        (_outcome(Kind.CANCEL, Failure("Cancelled", "s3cret")), "WARNING", "shop.send was cancelled after 2.5 s"),
        (_outcome(Kind.FAILURE, Failure("OSError", "s3cret")), "ERROR", "failed for good with OSError"),
    ],
)
def test_each_kind_of_end_has_a_line_with_the_job_and_without_texts(
    outcome: Outcome, level: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "comanda.worker"):
        JobLog().settled([outcome])
    (record,) = caplog.records
    assert record.levelname == level
    assert text in record.getMessage()
    assert record.__dict__["job_id"] == to_text(JOB.id)
    assert "s3cret" not in record.getMessage()


def test_a_job_that_goes_back_unstarted_has_no_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "comanda.worker"):
        JobLog().settled([handed_back(JOB)])
    assert caplog.records == []


def test_many_successes_are_summed_up_and_failures_are_not(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    log = JobLog()
    with caplog.at_level(logging.INFO, "comanda.worker"):
        log.settled([_outcome(Kind.SUCCESS)] * (RATE + 1))
        log.settled([_outcome(Kind.SUCCESS)] * 5_000 + [_outcome(Kind.FAILURE, Failure("OSError", ""))])
        log.sum_up()
        clock[0] += joblog.SUMMARY
        log.sum_up()
        log.settled([_outcome(Kind.SUCCESS)])
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert "failed for good" in lines[0]
    assert lines[1] == f"{RATE + 5_001:,} more jobs finished in 10 s"
    assert "shop.send finished" in lines[2]


def test_arguments_and_error_texts_appear_in_no_line(app: Comanda, caplog: pytest.LogCaptureFixture) -> None:
    @app.task(name="send", retry=NEVER)
    def send(text: str) -> str:
        if text.startswith("bad"):
            raise ValueError(text)
        return text

    with caplog.at_level(logging.DEBUG), Working(app):
        send.enqueue("good canary-1").result(SOON)
        with pytest.raises(JobFailed):
            send.enqueue("bad canary-2").result(SOON)
    assert caplog.records
    assert "canary" not in caplog.text
