"""What every broker answers alike."""

from __future__ import annotations

import getpass
import socket

import pytest

from comanda.brokers import rules
from comanda.brokers.records import Claimed, Failure, Kind, Outcome

_JOB = Claimed(1, b"", 1, 1, 0, "task", "default", b"", None, 0)


@pytest.mark.parametrize(
    ("kind", "reason", "recorded"),
    [
        (Kind.SUCCESS, None, None),
        (Kind.RELEASE, None, None),
        (Kind.RETRY, "exception", "failed"),
        (Kind.RETRY, "timeout", "timed_out"),
        (Kind.FAILURE, "result", "failed"),
        (Kind.FAILURE, "timeout", "timed_out"),
        (Kind.SNOOZE, "snoozed", "snoozed"),
        (Kind.CANCEL, "cancelled", "cancelled"),
        (Kind.CANCEL, None, "cancelled"),
    ],
)
def test_an_attempt_is_recorded_by_how_it_ended(kind: Kind, reason: str | None, recorded: str | None) -> None:
    failure = None if reason is None else Failure("Boom", "", "", reason)
    assert rules.attempt_outcome(Outcome(_JOB, kind, failure=failure)) == recorded


def test_the_third_crash_says_that_the_job_is_kept_apart() -> None:
    reasons = [rules.worker_lost(crashes).reason for crashes in (1, 2, 3, 4)]
    assert reasons == ["lost", "lost", "quarantined", "quarantined"]
    assert "died 3 times" in rules.worker_lost(3).message


def test_an_operator_without_an_account_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user is in no passwd file."""

    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    name, _, host = rules.actor().partition("@")
    assert name.isdigit()
    assert host == socket.gethostname()
