"""`comanda jobs ls`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Run
from .shop import Shop


def test_a_list_shows_every_state_the_newest_first(shop: Shop, data: Callable[..., Any]) -> None:
    jobs = [
        shop.successful(),
        shop.failed(),
        shop.make_report.using(run_after=300).enqueue("may"),
        shop.make_report.enqueue("june"),
    ]
    jobs[3].cancel()
    listed = data("jobs", "ls", "--url", shop.url)
    assert [job["id"] for job in listed["jobs"]] == [job.id for job in reversed(jobs)]
    assert [job["state"] for job in listed["jobs"]] == ["cancelled", "scheduled", "failed", "successful"]
    assert listed["more"] is False


def test_a_list_never_shows_arguments_or_results(shop: Shop, run: Run) -> None:
    shop.failed("eve@example.org")
    shop.successful("bob@example.org")
    for form in ((), ("--json",), ("--jsonl",)):
        shown = run("jobs", "ls", "--url", shop.url, *form).output
        assert "example.org" not in shown
        assert "s3cret" not in shown
        assert "sent" not in shown


def test_a_table_names_what_a_waiting_job_waits_for(shop: Shop, run: Run) -> None:
    shop.send_mail.using(run_after=300).enqueue("ann")
    shop.failed()
    lines = run("jobs", "ls", "--url", shop.url).stdout.splitlines()
    assert lines[0].split() == ["ID", "TASK", "STATE", "TRY", "AGE", "ERROR"]
    assert "failed" in lines[1]
    assert "ConnectionError: no such mailbox" in lines[1]
    assert "scheduled, in 5 m" in lines[2]


def test_lines_are_one_document_each(shop: Shop, run: Run) -> None:
    wanted = [shop.failed().id, shop.failed().id]
    lines = run("jobs", "ls", "--url", shop.url, "--jsonl").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == wanted[::-1]


def test_a_limit_says_that_more_match(shop: Shop, run: Run, data: Callable[..., Any]) -> None:
    for _ in range(3):
        shop.failed()
    assert "more match" in run("jobs", "ls", "--limit", "2", "--url", shop.url).stderr
    listed = data("jobs", "ls", "--limit", "2", "--url", shop.url)
    assert (len(listed["jobs"]), listed["more"]) == (2, True)


def test_nothing_found_is_said_on_standard_error(shop: Shop, run: Run) -> None:
    shop.app.broker.open()
    result = run("jobs", "ls", "state:failed", "--url", shop.url)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no job matches\n")


@pytest.mark.parametrize(
    ("words", "matching"),
    [
        (["state:failed"], {"failed"}),
        (["state:failed,successful"], {"failed", "successful"}),
        (["state:failed", "state:successful"], {"failed", "successful"}),
        (["state:waiting"], {"scheduled"}),
        (["task:send_mail"], {"failed", "successful"}),
        (["task:shop.make_report"], {"scheduled"}),
        (["queue:reports"], {"scheduled"}),
        (["queue:default", "state:successful", "since:1h"], {"successful"}),
        (["since:2020-01-01T00:00Z"], {"failed", "successful", "scheduled"}),
        (["since:2999-01-01T00:00+02:00"], set()),
        (["task:nobody_knows"], set()),
    ],
    ids=lambda words: " ".join(sorted(words)),
)
def test_search_words_narrow_the_list(
    shop: Shop, data: Callable[..., Any], words: list[str], matching: set[str]
) -> None:
    shop.failed()
    shop.successful()
    shop.make_report.using(run_after=300).enqueue("may")
    assert {job["state"] for job in data("jobs", "ls", *words, "--url", shop.url)["jobs"]} == matching


def test_the_beginning_of_an_id_narrows_the_list(shop: Shop, data: Callable[..., Any]) -> None:
    job = shop.failed()
    other = shop.send_mail.using(id="00000000-0000-7000-8000-000000000001").enqueue("ann")
    assert [found["id"] for found in data("jobs", "ls", "id:00000000", "--url", shop.url)["jobs"]] == [other.id]
    assert [found["id"] for found in data("jobs", "ls", job.id[:13], "--url", shop.url)["jobs"]] == [job.id]


def test_a_task_that_no_worker_ever_knew_is_found_by_its_short_name(shop: Shop, data: Callable[..., Any]) -> None:
    shop.send_mail.enqueue("ann")
    assert [job["task"] for job in data("jobs", "ls", "task:send_mail", "--url", shop.url)["jobs"]] == [
        "shop.send_mail"
    ]


def test_a_message_is_listed_as_a_message(shop: Shop, run: Run) -> None:
    shop.app.message_queue("letters").put({"to": "ann"})
    shown = run("jobs", "ls", "--url", shop.url).stdout
    assert "(message)" in shown
    assert "ann" not in shown


def test_a_parked_job_says_so(shop: Shop, run: Run) -> None:
    shop.park()
    assert "ready, parked" in run("jobs", "ls", "--url", shop.url).stdout
