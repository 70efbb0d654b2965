"""using(connection=django.db.connection): the job belongs to the block around it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import DatabaseError, connection, connections, transaction
from django.db.transaction import TransactionManagementError

from comanda import ConfigurationError, NotInTransaction
from comanda.django import app

from .conftest import on_both
from .kitchen import cook


def dishes() -> int:
    """How many jobs the queue holds."""
    return len(app.find_jobs())


def enqueue_and_fail(alias: str, dish: str) -> None:
    """Enqueue in a block that is rolled back."""
    with transaction.atomic(using=alias):
        cook.using(connection=connections[alias]).enqueue(dish)
        raise KeyError(dish)


@on_both
def test_a_commit_leaves_one_job_and_a_rollback_none(alias: str) -> None:
    with transaction.atomic(using=alias):
        job = cook.using(connection=connections[alias]).enqueue("soup")
    assert job.state == "ready"
    with pytest.raises(KeyError):
        enqueue_and_fail(alias, "stew")
    assert dishes() == 1


@on_both
def test_a_rolled_back_inner_block_takes_its_job_with_it(alias: str) -> None:
    with transaction.atomic(using=alias):
        kept = cook.using(connection=connections[alias]).enqueue("soup")
        with pytest.raises(KeyError):
            enqueue_and_fail(alias, "stew")
    assert [job.id for job in app.find_jobs()] == [kept.id]


@on_both
def test_outside_of_a_block_it_is_refused(alias: str) -> None:
    with pytest.raises(NotInTransaction, match=r"transaction\.atomic"):
        cook.using(connection=connections[alias]).enqueue("soup")
    assert dishes() == 0


@on_both
def test_with_autocommit_off_the_next_commit_counts(alias: str) -> None:
    transaction.set_autocommit(False, using=alias)
    try:
        cook.using(connection=connections[alias]).enqueue("soup")
        transaction.rollback(using=alias)
        cook.using(connection=connections[alias]).enqueue("stew")
        transaction.commit(using=alias)
    finally:
        transaction.set_autocommit(True, using=alias)
    assert dishes() == 1


@on_both
def test_no_savepoint_is_made(alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite its RELEASE would commit the job alone (design section 6)."""
    with transaction.atomic(using=alias):
        made = connections[alias].savepoint_state
        monkeypatch.setattr(type(connections[alias]), "savepoint", _fail)
        cook.using(connection=connections[alias]).enqueue("soup")
        assert connections[alias].savepoint_state == made


def _fail(*_: Any) -> None:
    raise AssertionError("a savepoint")


def test_the_connection_proxy_is_a_connection() -> None:
    with transaction.atomic():
        job = cook.using(connection=connection).enqueue("soup")
    assert job.state == "ready"


def test_workers_are_woken_after_the_commit_and_a_failing_wake_up_is_nobodys_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected: list[bytes] = []

    def fail(job_id: bytes) -> None:
        expected.append(job_id)
        raise OSError("no such thing")

    monkeypatch.setattr(app.runtime.lookout, "expect", fail)
    with transaction.atomic():
        job = cook.using(connection=connection).enqueue("soup")
        assert expected == []
    assert len(expected) == 1
    assert job.state == "ready"
    assert "no such thing" in caplog.text


def test_another_database_of_the_project_is_refused() -> None:
    """One transaction cannot span two files."""
    with transaction.atomic(using="other"), pytest.raises(ConfigurationError, match="cannot span two files"):
        cook.using(connection=connections["other"]).enqueue("soup")


def test_a_connection_of_another_kind_than_the_queue_is_refused(postgres: str) -> None:
    with transaction.atomic(), pytest.raises(ConfigurationError, match="cannot span two databases"):
        cook.using(connection=connection).enqueue("soup")


def test_a_block_that_can_only_roll_back_takes_no_job() -> None:
    """Django rolls it back whatever happens: an id of a job that never comes would be a lie."""
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError):
            cook.using(connection=connection).enqueue("soup")
    assert dishes() == 0


@on_both
def test_what_the_database_refuses_is_djangos_error(alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from comanda.brokers.statements import Statement

    monkeypatch.setattr(
        type(app.broker), "enqueue_statements", lambda *_: [Statement("INSERT INTO nowhere VALUES (1)")]
    )
    with pytest.raises(DatabaseError, match="nowhere"), transaction.atomic(using=alias):
        cook.using(connection=connections[alias]).enqueue("soup")


@on_both
def test_a_coroutine_under_async_to_sync_joins_the_block(alias: str) -> None:
    """F10: its connections are those of the thread that waits for it."""

    async def order(dish: str) -> None:
        await cook.using(connection=connections[alias]).aenqueue(dish)

    with transaction.atomic(using=alias):
        async_to_sync(order)("soup")
    with transaction.atomic(using=alias):
        async_to_sync(order)("stew")
        transaction.set_rollback(True, using=alias)
    assert dishes() == 1


def test_a_coroutine_without_a_block_is_refused() -> None:
    """Async code itself has no transactions in Django."""

    async def order() -> None:
        try:
            await cook.using(connection=connection).aenqueue("soup")
        finally:
            await sync_to_async(connections.close_all)()

    with pytest.raises(NotInTransaction):
        asyncio.run(order())


def test_an_outbox_in_the_projects_database_takes_the_job(redis_url: str, namespace: str) -> None:
    """The queue is elsewhere, and the job commits with the rows nevertheless."""
    from django.test import override_settings

    name = connections.settings["default"]["NAME"]
    with override_settings(COMANDA={"URL": redis_url, "OUTBOX": f"sqlite:///{name}", "NAMESPACE": namespace}):
        with pytest.raises(KeyError):
            enqueue_and_fail("default", "stew")
        with transaction.atomic():
            job = cook.using(connection=connection).enqueue("soup")
        outbox = app.runtime.outbox
        assert outbox is not None
        from comanda.testing import run_jobs

        assert run_jobs(app) == 1
        assert job.result(5) == "soup"
