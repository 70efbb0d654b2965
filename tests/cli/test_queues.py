"""`comanda queues` and `comanda info`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comanda.brokers.records import Demand

from .conftest import Run
from .shop import Shop


def test_queues_are_listed_with_their_counts_by_state(shop: Shop, data: Callable[..., Any], run: Run) -> None:
    shop.failed()
    shop.make_report.enqueue("may")
    listed = {queue["queue"]: queue for queue in data("queues", "ls", "--url", shop.url)["queues"]}
    assert listed["default"]["counts"]["failed"] == 1
    assert listed["default"]["oldest_ready_age"] is None
    assert listed["reports"]["counts"]["ready"] == 1
    assert listed["reports"]["oldest_ready_age"] >= 0
    lines = run("queues", "--url", shop.url).stdout.splitlines()
    assert lines[0].split() == ["QUEUE", "READY", "RUNNING", "FAILED", "OLDEST"]
    assert [line.split()[:4] for line in lines[1:]] == [["default", "0", "0", "1"], ["reports", "1", "0", "0"]]


def test_queues_without_a_word_after_them_take_the_options_of_ls(shop: Shop, run: Run) -> None:
    shop.make_report.enqueue("may")
    assert json.loads(run("queues", "--jsonl", "--url", shop.url).stdout)["queue"] == "reports"


def test_an_empty_store_has_no_queues(shop: Shop, run: Run) -> None:
    shop.app.broker.open()
    assert "no queue yet" in run("queues", "--url", shop.url).stderr


def test_a_paused_queue_hands_out_nothing_until_it_is_resumed(shop: Shop, run: Run) -> None:
    job = shop.make_report.enqueue("may")
    demand = Demand(limit=1, tasks=frozenset({job.task}))
    assert run("queues", "pause", "reports", "--url", shop.url).exit_code == 0
    assert shop.app.broker.claim(shop.owner, demand) == []
    assert "paused" in run("queues", "--url", shop.url).stdout
    assert run("queues", "resume", "reports", "--url", shop.url).exit_code == 0
    assert len(shop.app.broker.claim(shop.owner, demand)) == 1


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_an_unknown_queue_is_not_found_and_near_names_are_given(shop: Shop, run: Run, verb: str) -> None:
    shop.make_report.enqueue("may")
    result = run("queues", verb, "report", "--url", shop.url)
    assert result.exit_code == 4
    assert "there is no queue 'report'; near it: reports" in result.stderr


def test_info_shows_the_store_with_its_absolute_path(shop: Shop, workplace: Path, data: Callable[..., Any]) -> None:
    shop.make_report.enqueue("may")
    shown = data("info", "--url", "sqlite:///shop.db")
    assert shown["store"] == f"sqlite:///{workplace / 'shop.db'}"
    assert shown["library"].startswith("sqlite3 with SQLite 3.")
    assert shown["namespace"] == "comanda"
    assert [queue["queue"] for queue in shown["queues"]] == ["reports"]
    assert shown["workers"] == []


def test_info_shows_the_workers_that_are_alive(shop: Shop, run: Run, data: Callable[..., Any]) -> None:
    shop.failed()
    gone = shop.register()
    shop.app.broker.deregister(gone)
    (worker,) = data("info", "--url", shop.url)["workers"]
    assert (worker["worker"], worker["kind"], worker["tasks"]) == (
        shop.owner,
        "child",
        ["shop.send_mail", "shop.make_report"],
    )
    shown = run("info", "--url", shop.url).stdout
    assert f"{worker['host']}/{worker['pid']}" in shown
    assert str(shop.path) in shown


def test_info_says_that_no_worker_is_alive(shop: Shop, run: Run) -> None:
    shop.make_report.enqueue("may")
    assert "no worker is alive" in run("info", "--url", shop.url).stderr


def test_a_message_queue_is_marked_as_one(shop: Shop, run: Run) -> None:
    shop.app.message_queue("letters").put({"to": "ann"})
    assert "messages" in run("queues", "--url", shop.url).stdout
