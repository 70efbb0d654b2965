"""What a job leaves behind in a worker's thread does not reach the next one (F22-F24, F28, F29)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction

from comanda.django import app
from comanda.testing import run_jobs
from comanda.worker import spawning

from . import kitchen
from .conftest import on_both


@pytest.fixture(autouse=True)
def seen() -> list[Any]:
    """What the tasks have noted."""
    kitchen.seen.clear()
    return kitchen.seen


@pytest.fixture
def in_worker(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Run the jobs that are ready on this thread, as a worker's child would."""
    monkeypatch.setenv(spawning.MARK, "1")
    return lambda: run_jobs(app)


@on_both
def test_a_block_that_a_task_leaves_open_is_rolled_back_and_told(
    alias: str, in_worker: Callable[[], int], seen: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    kitchen.leave_open.enqueue(alias)
    kitchen.ask.enqueue(alias)
    assert in_worker() == 2
    assert [in_block for _, _, in_block in seen] == [False]
    assert f"leave_open left a transaction open on the database '{alias}'" in caplog.text


@on_both
def test_autocommit_that_a_task_leaves_off_is_switched_on_again(
    alias: str, in_worker: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    kitchen.leave_autocommit_off.enqueue(alias)
    assert in_worker() == 1
    assert connections[alias].get_autocommit()
    assert "leave_autocommit_off left a transaction open" in caplog.text


def test_a_connection_that_the_server_closed_between_two_jobs_is_replaced(
    postgres: str, in_worker: Callable[[], int], seen: list[Any]
) -> None:
    """CONN_HEALTH_CHECKS counts for jobs as for requests: each one begins with the check."""
    first = kitchen.ask.enqueue(postgres)
    in_worker()
    backend = connections[postgres].connection.info.backend_pid
    other = connections[postgres].copy()
    other.cursor().execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
    other.close()
    second = kitchen.ask.enqueue(postgres)
    in_worker()
    assert (first.refresh().state, second.refresh().state) == ("successful", "successful")
    assert len(second.attempts) == 1
    assert len({connection for _, connection, _ in seen}) == 2


def test_a_fit_connection_is_kept_from_job_to_job(in_worker: Callable[[], int], seen: list[Any]) -> None:
    """CONN_MAX_AGE is None here: one connection for as long as it works."""
    for _ in range(3):
        kitchen.ask.enqueue("default")
    in_worker()
    assert len(set(seen)) == 1


def test_a_connection_past_its_age_is_closed_after_the_job(
    in_worker: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    connections["default"].close()
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_MAX_AGE", 1e-9)
    kitchen.ask.enqueue("default")
    in_worker()
    assert connections["default"].connection is None


def test_a_connection_without_age_serves_jobs_in_a_row_and_is_closed_when_none_is_left(
    in_worker: Callable[[], int], seen: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """F23: CONN_MAX_AGE 0, Django's default."""
    connections["default"].close()
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_MAX_AGE", 0)
    for _ in range(3):
        kitchen.ask.enqueue("default")
    in_worker()
    assert len({id(connection) for _, connection, _ in seen}) == 1
    assert app.surroundings is not None
    app.surroundings.idle()
    assert connections["default"].connection is None


def test_language_time_zone_and_urlconf_of_a_task_are_not_the_next_ones(
    in_worker: Callable[[], int], seen: list[Any]
) -> None:
    """F29: they are context variables."""
    kitchen.move_to_germany.enqueue()
    kitchen.look_around.enqueue()
    in_worker()
    assert seen == [("en-us", "America/Chicago", None)]


def test_the_query_log_does_not_grow_from_job_to_job(
    in_worker: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections["default"], "force_debug_cursor", True)
    for _ in range(3):
        kitchen.ask.enqueue("default")
    in_worker()
    assert len(connections["default"].queries_log) == 1


def test_the_orm_calls_of_a_coroutine_share_a_thread_and_close_its_connection(
    in_worker: Callable[[], int], seen: list[Any]
) -> None:
    """F28: a thread of its own, so that two coroutines never share a transaction."""
    kitchen.ask_twice.enqueue("default")
    kitchen.ask_twice.enqueue("default")
    in_worker()
    threads = [thread for thread, _ in seen]
    assert threads[0] == threads[1] != threading.get_ident()
    assert threads[2] == threads[3]
    for _, raw in seen:
        with pytest.raises(Exception, match="closed"):
            raw.execute("SELECT 1")


def test_in_a_test_the_block_around_it_is_left_alone(seen: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    """F23: what is in a block before the job is the test's."""
    with transaction.atomic(using="other"):
        connections["other"].cursor().execute("SELECT 1")
        kitchen.ask.enqueue("other")
        assert run_jobs(app) == 1
        assert connections["other"].in_atomic_block
    assert [in_block for _, _, in_block in seen] == [True]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_plain_call_of_a_task_is_a_plain_call(seen: list[Any]) -> None:
    """No surroundings: it is somebody's function call, in somebody's transaction."""
    from django.utils import translation

    with translation.override("de"):
        kitchen.look_around()
    assert seen == [("de", "America/Chicago", None)]
