"""`comanda db export` and `comanda db import`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from comanda import Comanda, Retry
from comanda.brokers.records import State
from comanda.cli import transfer

from .conftest import Run
from .processes import comanda
from .shop import Shop, jobs_of


@pytest.fixture
def target(workplace: Path) -> Iterator[Comanda]:
    """Another store, through the other library."""
    app = Comanda(f"sqlite+apsw:///{workplace / 'new.db'}")
    yield app
    app.close()


def fill(shop: Shop) -> None:
    """A job of each kind, and a message."""
    shop.successful()
    shop.failed()
    retried = shop.send_mail.using(unique_key="k", priority=5).enqueue("bob")
    shop.fail(shop.claim(retried), "try again", Retry(max_attempts=3))
    shop.make_report.using(run_after=3600).enqueue("june")
    shop.make_report.enqueue("may").cancel()
    shop.app.message_queue("letters").put({"to": "ann"})


def test_a_store_moves_with_its_states_attempts_operations_and_results(
    shop: Shop, target: Comanda, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PAGE", 2)
    monkeypatch.setattr(transfer, "BATCH", 3)
    fill(shop)
    exported = run("db", "export", "jobs.jsonl", "--url", shop.url)
    assert exported.exit_code == 0
    assert f"exported 6 jobs of {shop.url}" in exported.stderr
    imported = run("db", "import", "jobs.jsonl", "--url", target.url)
    assert imported.exit_code == 0
    assert imported.stdout == f"imported 6 jobs of {shop.url}; 0 were here already\n"
    assert jobs_of(target) == jobs_of(shop.app)
    assert target.broker.counts() == shop.app.broker.counts()
    assert target.message_queue("letters").get() == {"to": "ann"}


def test_an_import_may_be_repeated(shop: Shop, target: Comanda, run: Run, data: Callable[..., Any]) -> None:
    """Also into the store that the jobs came from."""
    fill(shop)
    run("db", "export", "jobs.jsonl", "--url", shop.url)
    assert data("db", "import", "jobs.jsonl", "--url", target.url) == {"new": 6, "existed": 0, "refused": []}
    for url in (target.url, shop.url):
        assert data("db", "import", "jobs.jsonl", "--url", url) == {"new": 0, "existed": 6, "refused": []}


def test_a_running_job_moves_as_ready(shop: Shop, target: Comanda, run: Run) -> None:
    job = shop.send_mail.enqueue("ann")
    shop.claim(job)
    exported = run("db", "export", "jobs.jsonl", "--url", shop.url)
    assert "a worker is alive, so this is no snapshot" in exported.stderr
    run("db", "import", "jobs.jsonl", "--url", target.url)
    (moved,) = jobs_of(target)
    assert (moved.state, moved.attempt, moved.attempts) == (State.READY, 0, [])


def test_an_export_goes_through_a_pipe(shop: Shop, run: Run, workplace: Path) -> None:
    fill(shop)
    exported = comanda("db", "export", "--url", shop.url, directory=workplace)
    assert [json.loads(line)["line"] for line in exported.stdout.splitlines()] == ["header", *["job"] * 6, "end"]
    imported = run("db", "import", "--url", "sqlite:///piped.db", input=exported.stdout)
    assert imported.stdout.startswith("imported 6 jobs")


def test_an_export_is_private_and_replaces_nothing(shop: Shop, run: Run, workplace: Path) -> None:
    """It holds arguments and results."""
    shop.successful()
    run("db", "export", "jobs.jsonl", "--url", shop.url)
    assert (workplace / "jobs.jsonl").stat().st_mode & 0o777 == 0o600
    before = (workplace / "jobs.jsonl").read_bytes()
    assert run("db", "export", "jobs.jsonl", "--url", shop.url).exit_code == 5
    assert (workplace / "jobs.jsonl").read_bytes() == before
    assert run("db", "export", "no/jobs.jsonl", "--url", shop.url).exit_code == 2


def test_an_export_that_cannot_be_written_fails(shop: Shop, workplace: Path) -> None:
    shop.successful()
    with Path("/dev/full").open("w") as full:
        done = comanda("db", "export", "--url", shop.url, directory=workplace, stdout=full)
    assert done.returncode == 1
    assert "the export to - was cut off: No space left on device" in done.stderr


def test_a_paused_queue_stays_paused(shop: Shop, target: Comanda, run: Run) -> None:
    """What an operator held back does not run because it moved."""
    fill(shop)
    shop.app.broker.pause("reports")
    run("db", "export", "jobs.jsonl", "--url", shop.url)
    imported = run("db", "import", "jobs.jsonl", "--url", target.url)
    assert "queue reports is paused, as it was: comanda queues resume reports" in imported.stderr
    assert [queue.name for queue in target.broker.queues() if queue.paused] == ["reports"]


def test_a_broken_line_ends_the_import_with_its_number(
    shop: Shop, target: Comanda, run: Run, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came before it in whole batches is in, and said so; mended, the file goes on from there."""
    monkeypatch.setattr(transfer, "BATCH", 2)
    fill(shop)
    run("db", "export", "jobs.jsonl", "--url", shop.url)
    file = workplace / "jobs.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:4], b"{\n", *lines[5:]]))
    broken = run("db", "import", "jobs.jsonl", "--url", target.url)
    assert broken.exit_code == 2
    assert "the import ended early: 2 jobs came in, none after them; it may be repeated" in broken.stderr
    assert "comanda: line 5 cannot be read" in broken.stderr
    assert len(jobs_of(target)) == 2
    file.write_bytes(b"".join(lines))
    assert run("db", "import", "jobs.jsonl", "--url", target.url).stdout.startswith("imported 4 jobs")
    assert jobs_of(target) == jobs_of(shop.app)


def test_a_dry_run_reads_to_the_end_and_stores_nothing(shop: Shop, run: Run, workplace: Path) -> None:
    fill(shop)
    run("db", "export", "jobs.jsonl", "--url", shop.url)
    tried = run("db", "import", "jobs.jsonl", "--dry-run", "--url", "sqlite:///new.db")
    assert (tried.exit_code, tried.stdout) == (0, "6 jobs could be imported; nothing was\n")
    assert not (workplace / "new.db").exists()
    (workplace / "jobs.jsonl").write_bytes((workplace / "jobs.jsonl").read_bytes()[:-20])
    assert run("db", "import", "jobs.jsonl", "--dry-run").exit_code == 2


def test_a_job_whose_unique_key_is_held_is_named_and_left_out(
    shop: Shop, target: Comanda, data: Callable[..., Any], run: Run
) -> None:
    shop.successful()
    moved = shop.send_mail.using(unique_key="k").enqueue("bob")
    run("db", "export", "jobs.jsonl", "--url", shop.url)
    holder = target.task(name="shop.send_mail")(lambda: None).using(unique_key="k").enqueue()
    refused = run("db", "import", "jobs.jsonl", "--url", target.url)
    assert refused.exit_code == 5
    assert f"an unfinished job holds their unique key: {moved.id};" in refused.stderr
    assert len(jobs_of(target)) == 2
    holder.cancel()
    assert data("db", "import", "jobs.jsonl", "--url", target.url) == {"new": 1, "existed": 1, "refused": []}


def test_messages_do_not_go_into_a_queue_of_jobs(shop: Shop, target: Comanda, run: Run) -> None:
    shop.app.message_queue("letters").put("hello")
    run("db", "export", "jobs.jsonl", "--url", shop.url)
    target.task(name="task", queue="letters")(lambda: None).enqueue()
    refused = run("db", "import", "jobs.jsonl", "--url", target.url)
    assert refused.exit_code == 2
    assert "queue 'letters' holds jobs and cannot take messages" in refused.stderr


@pytest.mark.parametrize("command", ["export", "import"])
def test_memory_can_neither_give_nor_take(run: Run, shop: Shop, command: str) -> None:
    shop.successful()
    run("db", "export", "jobs.jsonl", "--url", shop.url)
    words = [command, "jobs.jsonl"] if command == "import" else [command]
    refused = run("db", *words, "--url", "memory://")
    assert refused.exit_code == 2
    assert "live inside their own process" in refused.stderr
