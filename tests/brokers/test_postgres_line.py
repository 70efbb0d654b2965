"""Where claims begin while an old snapshot keeps dead rows in their index."""

from __future__ import annotations

import psycopg
import pytest

from comanda.brokers.postgres import line
from comanda.brokers.postgres.line import HEAD, Line
from comanda.testing.conformance.case import Worker, enqueue, enqueue_one
from tests.brokers.postgres_stores import drain, open_postgres


def test_a_quick_claim_is_followed_by_one_from_the_head() -> None:
    """Whatever lies dead there, and a slow one where nothing does."""
    found = Line()
    found.note(HEAD, line.SLOW, is_crowded=True, last=(0, 1, 1))
    assert found.start == HEAD
    found.note(HEAD, 9.0, is_crowded=False, last=(0, 2, 2))
    assert found.start == HEAD


def test_after_a_slow_claim_among_dead_rows_the_next_begin_where_it_ended() -> None:
    """And go forward from there, never back."""
    found = Line()
    found.note(HEAD, 9.0, is_crowded=True, last=(0, 5, 5))
    assert found.start == (0, 5, 5)
    found.note((0, 5, 5), 0.01, is_crowded=True, last=(0, 8, 8))
    assert found.start == (0, 8, 8)
    found.note((0, 8, 8), 0.01, is_crowded=True, last=None)
    assert found.start == (0, 8, 8)


def test_a_look_from_the_head_that_does_not_end_is_given_up_for_a_while() -> None:
    """Where no other place is known there is nothing else to try."""
    found = Line()
    assert not found.give_up(HEAD)
    found.note(HEAD, 0.01, is_crowded=True, last=(0, 5, 5))
    assert found.give_up(HEAD)
    assert found.start == (0, 5, 5)
    assert not found.give_up((0, 5, 5))


def test_no_job_is_passed_over_for_good(postgres_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes in before the place is found by the next look from the head."""
    monkeypatch.setattr(line, "SLOW", 0.0)
    monkeypatch.setattr(line, "REST", 0)
    broker = open_postgres(postgres_url, namespace)
    worker = Worker(broker)
    with psycopg.connect(postgres_url) as old:
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        for _ in range(5):
            enqueue(broker, 200)
            urgent = enqueue_one(broker, priority=100)
            assert urgent in drain(worker, 50)
    assert sum(broker.counts().values()) == 1_005
    broker.close()
