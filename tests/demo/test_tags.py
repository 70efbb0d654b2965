"""From POST to tags, in one process: the tests run the jobs, the rest is real."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from comanda import Job
from comanda.brokers.records import JobFilter
from comanda.ids import from_text
from comanda.worker.inline import run_jobs

from .conftest import url_of
from .model_server import Model, answers, replies

SEED = (
    "Heute habe ich eine Anwendung mit Django geschrieben. Diese Anwendung schreibt Informationen nach Elasticsearch "
    "und ist auf ImaginaryNoneExistence Cloud deployed."
)
TAGS = ["Django", "Elasticsearch", "ImaginaryNoneExistence Cloud"]


@pytest.fixture(autouse=True)
def an_empty_queue(client: httpx.Client) -> None:
    """No job of another test waits."""
    from comanda.demo.tasks import app

    run_jobs(app)


def save(client: httpx.Client, entry: str = SEED) -> int:
    saved: int = client.post("/logs", json={"entry": entry}).json()["id"]
    return saved


def read(client: httpx.Client, log_id: int) -> dict[str, Any]:
    log: dict[str, Any] = client.get(f"/logs/{log_id}").json()
    return log


def values(log: dict[str, Any]) -> list[str]:
    return [tag["value"] for tag in log["tags"]]


def job_of(log_id: int) -> Job[Any]:
    from comanda.demo import logs

    job = logs.job_of(log_id)
    assert job is not None
    return job


def run_now(job: Job[Any]) -> None:
    """Run a job that waits for its next attempt, as an operator would let it."""
    from comanda.demo.tasks import app

    app.broker.reschedule(JobFilter(ids=(from_text(job.id),)), due=app.now())
    assert run_jobs(app, limit=1) == 1


def test_a_posted_log_has_its_tags_within_a_second_in_one_process(client: httpx.Client) -> None:
    from comanda.demo.tasks import app

    def post_and_read() -> tuple[float, Any]:
        start = time.perf_counter()
        log_id = save(client)
        run_jobs(app)
        log = read(client, log_id)
        return time.perf_counter() - start, log

    rounds = [post_and_read() for _ in range(3)]  # the machine may be busy with other tests in one of them
    assert min(seconds for seconds, _ in rounds) < 1
    log = rounds[0][1]
    assert values(log) == TAGS
    assert log["job"] == {"state": "successful", "attempts": 1, "error": None}
    assert {tag["type"] for tag in log["tags"]} == {"tech-stack"}


def test_the_job_returns_the_tags_too(client: httpx.Client) -> None:
    from comanda.demo.tasks import app

    log_id = save(client)
    run_jobs(app)
    assert job_of(log_id).result(timeout=0) == TAGS


def test_a_log_without_technologies_is_done_without_tags(client: httpx.Client) -> None:
    from comanda.demo.tasks import app

    log_id = save(client, "Mostly meetings today.")
    run_jobs(app)
    log = read(client, log_id)
    assert log["tags"] == []
    assert log["job"]["state"] == "successful"


def test_a_save_that_is_rolled_back_leaves_neither_log_nor_job(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from comanda.demo import logs
    from comanda.demo.database import Log, engine
    from comanda.demo.tasks import app

    def last_moment(**_: Any) -> None:
        raise RuntimeError("after the enqueue, before the commit")

    def count() -> int | None:
        with Session(engine) as session:
            return session.scalar(select(func.count()).select_from(Log))

    before = count()
    with monkeypatch.context() as broken:
        broken.setattr(logs, "SavedLog", last_moment)
        with pytest.raises(RuntimeError):
            logs.save(SEED)
    assert count() == before
    assert run_jobs(app) == 0
    save(client)
    assert run_jobs(app) == 1


def test_a_run_after_a_half_written_result_gives_the_same_tags(client: httpx.Client) -> None:
    from comanda.demo.database import TECH_STACK, Tag, engine
    from comanda.demo.tasks import app

    log_id = save(client)
    with Session(engine) as session, session.begin():
        session.add_all(Tag(log_id=log_id, type=TECH_STACK, value=value) for value in ("Elasticsearch", "Left Over"))
    run_jobs(app)
    assert values(read(client, log_id)) == TAGS


def test_a_job_that_runs_again_never_doubles_tags(client: httpx.Client) -> None:
    from comanda.demo.tasks import app, extract_tags

    log_id = save(client)
    run_jobs(app)
    once = read(client, log_id)["tags"]
    job_of(log_id).retry()
    extract_tags.enqueue(log_id)
    assert run_jobs(app) == 2
    assert read(client, log_id)["tags"] == once


def test_the_database_itself_refuses_a_second_tag_of_the_same_name(client: httpx.Client) -> None:
    from comanda.demo.database import TECH_STACK, Tag, engine

    log_id = save(client)
    with pytest.raises(IntegrityError, match="UNIQUE"), Session(engine) as session, session.begin():
        session.add_all(Tag(log_id=log_id, type=TECH_STACK, value="Django") for _ in range(2))


def test_tags_go_with_their_log(client: httpx.Client) -> None:
    from comanda.demo.database import Log, Tag, engine
    from comanda.demo.tasks import app

    log_id = save(client)
    run_jobs(app)
    with Session(engine) as session, session.begin():
        session.delete(session.get_one(Log, log_id))
    with Session(engine) as session:
        assert session.scalars(select(Tag).where(Tag.log_id == log_id)).all() == []


def test_the_job_of_a_log_that_is_gone_ends_in_peace(client: httpx.Client) -> None:
    from comanda.demo.tasks import app, extract_tags

    job = extract_tags.enqueue(10**9)
    run_jobs(app)
    assert job.result(timeout=0) == []


def test_a_model_that_fails_twice_gives_one_result_and_three_attempts(
    client: httpx.Client, language_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    from comanda.demo.tasks import app

    language_model.does(replies("", 500), replies("", 503), answers("\n".join(TAGS)))
    monkeypatch.setenv("OPENAI_BASE_URL", url_of(language_model))
    log_id = save(client)
    job = job_of(log_id)
    assert run_jobs(app, limit=1) == 1
    waiting = client.get(f"/logs/{log_id}")
    assert waiting.json()["job"] == {"state": "scheduled", "attempts": 1, "error": "ExtractionFailed"}
    assert "500" not in waiting.text  # the error's text stays inside
    run_now(job)
    run_now(job)
    log = read(client, log_id)
    assert log["job"] == {"state": "successful", "attempts": 3, "error": None}
    assert values(log) == TAGS
    attempts = job.refresh().attempts
    assert [attempt.outcome for attempt in attempts] == ["failed", "failed", "successful"]
    assert all("ExtractionFailed" in attempt.traceback for attempt in attempts[:2])
