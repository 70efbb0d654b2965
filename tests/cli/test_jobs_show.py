"""`comanda jobs show`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from comanda import Comanda, Retry, Secret

from .conftest import Run
from .shop import Shop


def test_a_job_is_shown_as_a_call_with_its_secrets_masked(shop: Shop, run: Run) -> None:
    job = shop.send_mail.using(priority=7, unique_key="mail-1", expires=3600).enqueue("ann", Secret("s3cret"))
    shown = run("jobs", "show", job.id, "--url", shop.url).stdout
    assert shown.startswith('shop.send_mail(to="ann", token="•••")\n')
    for fact in (job.id, "ready", "default, priority 7", "mail-1", "expires"):
        assert fact in shown
    assert "s3cret" not in shown


def test_the_document_masks_secrets_too(shop: Shop, data: Callable[..., Any]) -> None:
    job = shop.failed()
    shown = data("jobs", "show", job.id, "--url", shop.url)
    assert shown["arguments"] == {"to": "ann", "token": "•••"}
    assert "s3cret" not in str(shown)


def test_each_attempt_shows_its_times_its_worker_and_its_error(shop: Shop, run: Run, data: Callable[..., Any]) -> None:
    job = shop.send_mail.enqueue("ann")
    shop.fail(shop.claim(job), "no such mailbox", Retry(max_attempts=2, backoff=0))
    shop.fail(shop.claim(job), "still no such mailbox", Retry(max_attempts=2))
    first, second = data("jobs", "show", job.id, "--url", shop.url)["attempts"]
    assert (first["number"], second["number"]) == (1, 2)
    assert first["error"] == {"type": "ConnectionError", "message": "no such mailbox", "reason": "exception"}
    assert first["started_at"] < first["finished_at"] < second["finished_at"]
    assert first["pid"] > 0
    assert "raise ConnectionError(text)" in second["traceback"]
    shown = run("jobs", "show", job.id, "--url", shop.url).stdout
    assert "600 ms" in shown or "0.6 s" in shown
    assert f"{first['host']}/{first['pid']} 1.0" in shown


def test_tracebacks_are_shown_when_asked_for(shop: Shop, run: Run) -> None:
    job = shop.failed()
    without = run("jobs", "show", job.id, "--url", shop.url)
    assert "raise ConnectionError(text)" not in without.stdout
    assert f"comanda jobs show {job.id} --traceback" in without.stderr
    assert f"comanda jobs retry {job.id}" in without.stderr
    shown = run("jobs", "show", job.id, "--traceback", "--url", shop.url)
    assert "raise ConnectionError(text)" in shown.stdout
    assert "--traceback" not in shown.stderr


def test_a_result_and_an_operation_are_shown(shop: Shop, run: Run, data: Callable[..., Any]) -> None:
    job = shop.successful()
    assert 'result    {"sent":1}' in run("jobs", "show", job.id, "--url", shop.url).stdout
    job.retry()
    shown = data("jobs", "show", job.id, "--url", shop.url)
    assert (shown["state"], shown["result"]) == ("ready", None)
    assert [done["verb"] for done in shown["operations"]] == ["retry"]
    assert "retry" in run("jobs", "show", job.id, "--url", shop.url).stdout


def test_a_scheduled_job_shows_when_it_is_due(shop: Shop, run: Run) -> None:
    job = shop.send_mail.using(run_after=9000).enqueue("ann")
    shown = run("jobs", "show", job.id, "--url", shop.url).stdout
    assert "scheduled, in 2 h" in shown
    assert "\ndue " in shown


def test_a_shortened_id_is_enough_while_it_is_unique(shop: Shop, data: Callable[..., Any]) -> None:
    shop.failed()
    job = shop.send_mail.using(id="00000000-0000-7000-8000-000000000001").enqueue("ann")
    assert data("jobs", "show", "00000000-00", "--url", shop.url)["id"] == job.id


def test_an_ambiguous_id_names_two_candidates(shop: Shop, run: Run) -> None:
    ids = [f"00000000-0000-7000-8000-00000000000{digit}" for digit in "12"]
    for job_id in ids:
        shop.send_mail.using(id=job_id).enqueue("ann")
    result = run("jobs", "show", "0000", "--url", shop.url)
    assert result.exit_code == 2
    assert all(job_id in result.stderr for job_id in ids)


@pytest.mark.parametrize("wanted", ["ffffffff", "ffffffff-ffff-7fff-bfff-ffffffffffff"], ids=["short", "whole"])
def test_an_unknown_id_is_not_found(shop: Shop, run: Run, wanted: str) -> None:
    shop.app.broker.open()
    result = run("jobs", "show", wanted, "--url", shop.url)
    assert result.exit_code == 4
    assert wanted in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_message_is_shown_without_a_name(shop: Shop, run: Run, data: Callable[..., Any]) -> None:
    shop.app.message_queue("letters").put({"to": "ann"})
    (message,) = data("jobs", "ls", "--url", shop.url)["jobs"]
    assert run("jobs", "show", message["id"], "--url", shop.url).stdout.startswith('(message)({"to":"ann"})')


def test_arguments_of_a_codec_of_the_tasks_own_are_not_shown(workplace: object, shop: Shop, run: Run) -> None:
    app = Comanda(shop.url)
    try:
        job = app.task(name="shop.tagged", codec=_Shouting())(_tagged).enqueue("s3cret")
    finally:
        app.close()
    shown = run("jobs", "show", job.id, "--url", shop.url).stdout
    assert "<text/x-shout, " in shown
    assert "s3cret" not in shown.lower()


def test_a_job_with_damaged_options_shows_none_of_its_arguments(shop: Shop, run: Run) -> None:
    job = shop.send_mail.enqueue("ann", Secret("s3cret"))
    with shop.app.transaction() as connection:
        connection.execute("UPDATE comanda_jobs SET options = ?", (b"{",))
    shown = run("jobs", "show", job.id, "--url", shop.url).stdout
    assert shown.startswith('shop.send_mail("<unknown, ')
    assert "s3cret" not in shown


def test_a_quarantined_job_says_so(shop: Shop, run: Run) -> None:
    job = shop.send_mail.enqueue("ann")
    for _ in range(3):
        shop.die_with(job)
    shown = run("jobs", "show", job.id, "--url", shop.url).stdout
    assert "failed, quarantined" in shown
    assert "its worker died 3 times" in shown


def test_control_characters_of_a_stored_error_do_not_reach_the_terminal(shop: Shop, run: Run) -> None:
    job = shop.failed(text="\x1b]0;owned\x07\x1b[2Jgone")
    for command in (("show", job.id, "--traceback"), ("ls",)):
        shown = run("jobs", *command, "--url", shop.url).output
        assert "\x1b" not in shown
        assert "\\x1b[2Jgone" in shown


class _Shouting:
    content_type = "text/x-shout"

    def encode(self, value: Any) -> bytes:
        return repr(value).upper().encode()

    def decode(self, data: bytes) -> Any:
        return data.decode().lower()


def _tagged(text: str) -> None:
    return None
