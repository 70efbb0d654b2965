"""Dev-Guro's API over real HTTP; the slow step does not run here."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from comanda import BrokerUnavailable


def post(client: httpx.Client, entry: Any) -> httpx.Response:
    body = json.dumps({"entry": entry})  # in ASCII: half of a character arrives as an escape
    return client.post("/logs", content=body, headers={"Content-Type": "application/json"})


def test_a_log_is_answered_with_201_and_exactly_its_three_fields(client: httpx.Client) -> None:
    answer = post(client, "Wrote an application with Django.")
    assert answer.status_code == 201
    log = answer.json()
    assert log == {"id": log["id"], "entry": "Wrote an application with Django.", "timestamp": log["timestamp"]}
    assert abs(datetime.fromisoformat(log["timestamp"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert answer.headers["location"] == f"/logs/{log['id']}"


def test_the_location_leads_to_the_log_with_its_job_waiting(client: httpx.Client) -> None:
    answer = post(client, "Django")
    log = client.get(answer.headers["location"]).json()
    assert log == {**answer.json(), "job": {"state": "ready", "attempts": 0, "error": None}, "tags": []}


def test_white_space_around_an_entry_is_cut_off(client: httpx.Client) -> None:
    assert post(client, "\n two\n  lines \t").json()["entry"] == "two\n  lines"


def test_ten_thousand_characters_are_taken_whatever_their_size(client: httpx.Client) -> None:
    assert post(client, "\N{OX}" * 10_000).status_code == 201


@pytest.mark.parametrize(
    "entry",
    ["", " \n\t ", "x" * 10_001, None, 7, ["Django"], "\ud800"],
    ids=["empty", "blank", "too long", "null", "number", "list", "lone surrogate"],
)
def test_an_entry_that_does_not_fit_is_refused_with_the_field_named(client: httpx.Client, entry: Any) -> None:
    answer = post(client, entry)
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["detail"]] == [["body", "entry"]]


def test_a_missing_entry_is_refused_with_the_field_named(client: httpx.Client) -> None:
    answer = client.post("/logs", json={"text": "Django"})
    assert answer.status_code == 422
    assert [(error["loc"], error["type"]) for error in answer.json()["detail"]] == [(["body", "entry"], "missing")]


def test_a_refused_entry_leaves_neither_log_nor_job(client: httpx.Client) -> None:
    from comanda.demo.tasks import app

    newest, jobs = client.get("/logs?limit=1").json(), app.find_jobs(limit=1)
    assert post(client, "").status_code == 422
    assert client.get("/logs?limit=1").json() == newest
    assert [job.id for job in app.find_jobs(limit=1)] == [job.id for job in jobs]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_a_json_body_is_taken(client: httpx.Client, kind: str) -> None:
    answer = client.post("/logs", content=b'{"entry": "Django"}', headers={"Content-Type": kind})
    assert answer.status_code == 422


def test_a_body_beyond_any_entry_is_refused_unread(client: httpx.Client) -> None:
    answer = client.post("/logs", content=b" " * 300_000, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_a_body_of_unknown_length_is_not_read_beyond_the_limit(client: httpx.Client) -> None:
    answer = client.post("/logs", content=iter([b" " * 100_000] * 3), headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 413)


def test_logs_come_newest_first_and_page_by_page(client: httpx.Client) -> None:
    saved = [post(client, f"log {number}").json()["id"] for number in range(5)]
    first = client.get("/logs?limit=2").json()
    second = client.get(first["next"]).json()
    assert [log["id"] for log in first["logs"] + second["logs"]] == saved[:0:-1]
    older = client.get(f"/logs?before={saved[1]}&limit=1").json()
    assert [log["id"] for log in older["logs"]] == [saved[0]]


def test_the_oldest_page_has_no_next_one(client: httpx.Client) -> None:
    post(client, "Django")
    last = client.get("/logs?before=2").json()
    assert [log["id"] for log in last["logs"]] == [1]
    assert last["next"] is None
    assert client.get("/logs?before=1").json() == {"logs": [], "next": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=1e9", "limit=-1", "before=0", f"before={2**63}"])
def test_numbers_out_of_bounds_are_refused(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/logs?{query}")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", query.partition("=")[0]]


@pytest.mark.parametrize("path", ["/logs/999999", f"/logs/{2**63 - 1}", "/logs/999999/events"])
def test_a_log_that_does_not_exist_is_404_as_json(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"detail": f"there is no log {path.split('/')[2]}"}


@pytest.mark.parametrize("log_id", ["0", "-1", "x", str(2**63)])
def test_what_is_no_id_is_422(client: httpx.Client, log_id: str) -> None:
    assert client.get(f"/logs/{log_id}").status_code == 422


def test_the_api_describes_itself(client: httpx.Client) -> None:
    description = client.get("/openapi.json").json()
    operations = {operation["operationId"] for path in description["paths"].values() for operation in path.values()}
    assert operations == {"save_log", "list_logs", "read_log", "follow_log"}
    assert "201" in description["paths"]["/logs"]["post"]["responses"]


def test_its_health_is_that_of_its_store(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from comanda.demo.tasks import app

    assert client.get("/healthz").status_code == 204

    def fail() -> None:
        raise BrokerUnavailable("the disk is gone")

    monkeypatch.setattr(app.broker, "counts", fail)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"detail": "the disk is gone"})
