"""Assertions about what has been enqueued."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from comanda import Comanda, ConfigurationError, Secret
from comanda.brokers.records import NewJob
from comanda.ids import new_ids
from comanda.testing import assert_enqueued, enqueued, run_jobs


def send_mail(to: str, subject: str = "hello", *, at: datetime | None = None) -> None: ...


def log_in(password: Secret[str]) -> None: ...


def test_one_mail_is_queued_for_ann(app: Comanda) -> None:
    """S3-15."""
    task = app.task(name="send")(send_mail)
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    job = task.enqueue("ann@example.org", at=noon)
    task.enqueue("bob@example.org")
    assert assert_enqueued(app, task, to="ann@example.org", subject="hello", at=noon).id == job.id
    assert assert_enqueued(app, task.using(priority=5), "bob@example.org").id != job.id


def test_the_failure_shows_what_is_there_instead(app: Comanda) -> None:
    task = app.task(name="send")(send_mail)
    with pytest.raises(AssertionError, match=r"expected one job send\(to='ann'.*found 0; its jobs are: none"):
        assert_enqueued(app, task, "ann")
    task.enqueue("bob")
    with pytest.raises(AssertionError, match=r"found 0; its jobs are:\n  send\(to='bob', subject='hello', at=None\)"):
        assert_enqueued(app, task, "ann")
    task.enqueue("bob")
    with pytest.raises(AssertionError, match="found 2"):
        assert_enqueued(app, task, "bob")


def test_secrets_stay_secret_in_a_failure(app: Comanda) -> None:
    task = app.task(name="log_in")(log_in)
    task.enqueue(Secret("hunter2"))
    assert_enqueued(app, task, Secret("hunter2"))
    with pytest.raises(AssertionError, match="•••") as failed:
        assert_enqueued(app, task, Secret("hunter3"))
    assert "hunter" not in str(failed.value)


def test_jobs_are_listed_in_order_whatever_became_of_them(app: Comanda) -> None:
    send, log = app.task(name="send", aliases=["mail"])(send_mail), app.task(name="log_in")(log_in)
    send.enqueue("ann")
    run_jobs(app)
    log.enqueue(Secret("x"))
    send.enqueue("bob")
    app.broker.enqueue(
        [
            NewJob(id=new_ids(1)[0], task="mail", queue="default", payload=b'{"to":"carl"}'),
            NewJob(id=new_ids(1)[0], task="unknown", queue="default", payload=b"{}"),
        ]
    )
    app.message_queue("letters").put("a message")
    assert [one.task for one in enqueued(app)] == ["send", "log_in", "send", "mail"]
    assert [one.arguments["to"] for one in enqueued(app, send)] == ["ann", "bob", "carl"]
    assert [one.job.state.value for one in enqueued(app, send)] == ["successful", "ready", "ready"]


def test_more_jobs_than_one_page_are_listed(app: Comanda) -> None:
    task = app.task(name="send")(send_mail)
    app.enqueue_many(task.call(str(number)) for number in range(1_100))
    assert [one.arguments["to"] for one in enqueued(app, task)] == [str(number) for number in range(1_100)]


def test_a_plain_function_is_asked_for_as_it_was_enqueued(app: Comanda) -> None:
    listed = Comanda("memory://", modules=[__name__])
    listed.enqueue(send_mail, "ann")
    assert_enqueued(listed, send_mail, "ann")
    with pytest.raises(ConfigurationError, match="no worker would know"):
        enqueued(app, send_mail)
    listed.close()
