"""`comanda run`: enqueueing by hand. Waiting for the result needs a worker and is in test_worker.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from comanda import State
from comanda.brokers.records import JobFilter, JobRecord
from comanda.codec import redacted

from .conftest import Run
from .shop import Shop


def _only(shop: Shop) -> JobRecord:
    (record,) = shop.app.broker.find(JobFilter())
    return record


def test_a_job_is_enqueued_and_its_id_is_the_output(shop: Shop, module: str, run: Run) -> None:
    result = run("run", "send_mail", "to=ann", "--app", f"{module}:app")
    assert result.exit_code == 0
    record = _only(shop)
    assert result.stdout.strip() == shop.app.get_job(result.stdout.strip()).id
    assert (record.task, record.state) == (f"{module}.send_mail", State.READY)
    assert redacted(record.payload) == {"to": "ann"}


def test_options_travel_with_the_job(shop: Shop, module: str, data: Callable[..., Any]) -> None:
    options = ("--in", "5m", "--queue", "later", "--priority", "7", "--key", "mail-1")
    shown = data("run", "send_mail", "to=ann", *options, "--app", module)
    record = _only(shop)
    assert (shown["state"], shown["queue"], shown["priority"], shown["created"]) == ("scheduled", "later", 7, True)
    assert (record.unique_key, record.due - record.enqueued_at) == ("mail-1", 300_000_000)
    assert data("run", "send_mail", "to=bob", *options, "--app", module)["created"] is False


def test_a_job_runs_at_an_instant(shop: Shop, module: str, data: Callable[..., Any]) -> None:
    shown = data("run", "send_mail", "to=ann", "--at", "2999-01-01T00:00+02:00", "--app", module)
    assert shown["run_after"] == "2998-12-31T22:00:00Z"


def test_an_app_may_be_named_by_the_environment(
    shop: Shop, module: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMANDA_APP", f"{module}:app")
    assert run("run", f"{module}.make_report", "month=may").exit_code == 0
    assert _only(shop).queue == "reports"


def test_an_unknown_task_is_not_found_and_near_names_are_given(module: str, run: Run) -> None:
    result = run("run", "send_mial", "--app", module)
    assert result.exit_code == 4
    assert result.stderr == f"comanda: there is no task 'send_mial'; near it: {module}.send_mail\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["to"], "'to': arguments are written name=value"),
        (["to=ann", "to=bob"], "argument 'to' is given twice"),
        ([], "argument 'to' is missing"),
        (["to=ann", "cc=bob"], "it has no argument 'cc'"),
        (["to=ann", "copies=many"], "argument 'copies': expected int, got str"),
        (["to=ann", "--in", "soon"], "'soon' is no duration"),
        (["to=ann", "--at", "noon"], "'noon' is no time"),
        (["to=ann", "--at", "2999-01-01T00:00"], "add its time zone"),
        (["to=ann", "--in", "5", "--at", "2999-01-01T00:00Z"], "give --in or --at, not both"),
        (["to=ann", "--priority", "1000"], "from -100 to 100"),
        (["to=ann", "--queue", ""], "a queue's name is"),
        (["to=ann", "--timeout", "5"], "--timeout belongs to --wait"),
    ],
)
def test_wrong_use_is_one_sentence_and_makes_no_job(
    shop: Shop, module: str, run: Run, words: list[str], sentence: str
) -> None:
    result = run("run", "send_mail", *words, "--app", module)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.output
    assert shop.app.broker.counts() == {}


def test_without_a_worker_waiting_says_so_and_times_out(shop: Shop, module: str, run: Run) -> None:
    result = run("run", "send_mail", "to=ann", "--wait", "--timeout", "0", "--app", module)
    assert result.exit_code == 124
    assert "no worker that is alive takes" in result.stderr
    assert "has not ended within 0 s; it goes on" in result.stderr
    assert _only(shop).state is State.READY


def test_waiting_for_a_job_that_ends_shows_its_document(shop: Shop, module: str, run: Run) -> None:
    shop.app.broker.open()
    result = run("run", "send_mail", "to=ann", "--wait", "--timeout", "0", "--json", "--app", module)
    assert result.exit_code == 124
    assert json.loads(result.stdout)["arguments"] == {"to": "ann"}
