"""The pages in the admin: who may see and do what, what they say, and what they never show."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client, override_settings

from comanda import Secret
from comanda.brokers.records import JobFilter
from comanda.django import app
from comanda.testing import run_jobs

from .conftest import on_both
from .kitchen import burn, cook
from .sites import JOBS, rows, text_of

VERBS = ("retry", "cancel", "delete")


def visitor(*permissions: str, staff: bool = True, **options: Any) -> Client:
    """Somebody with these permissions, signed in."""
    user = User.objects.create_user(f"u{uuid.uuid4().hex[:12]}", is_staff=staff)
    user.user_permissions.set(
        Permission.objects.filter(
            content_type__app_label="comanda", codename__in=[f"{name}_job" for name in permissions]
        )
    )
    client = Client(**options)
    client.force_login(user)
    return client


def page(client: Client, path: str = "", code: int = 200) -> str:
    """Return a page under that of the jobs."""
    answer = client.get(f"{JOBS}{path}")
    assert answer.status_code == code, answer.content.decode()
    return str(answer.content.decode())


def post(client: Client, action: str, *ids: str, code: int = 200, **more: str) -> str:
    """Run an action on ticked jobs; return the page that follows."""
    answer = client.post(JOBS, {"action": action, "_selected_action": ids, **more}, follow=True)
    assert answer.status_code == code, answer.content.decode()
    return str(answer.content.decode())


@pytest.fixture
def operator() -> Client:
    """Somebody who may do everything."""
    return visitor("view", *VERBS)


def failed() -> str:
    """Return a job that has failed."""
    job = burn.enqueue("toast", Secret("sesame"))
    run_jobs(app)
    return job.id


# -- permissions ------------------------------------------------------------------------------------------------


def test_who_is_not_signed_in_is_sent_to_the_login() -> None:
    job = cook.enqueue("soup")
    for path in (JOBS, f"{JOBS}{job.id}/change/"):
        for answer in (Client().get(path), Client().post(path, {"action": "cancel", "_selected_action": job.id})):
            assert answer.status_code == 302
            assert answer["Location"].startswith("/admin/login/")
    assert job.refresh().state == "ready"


def test_without_the_permission_to_view_nothing_is_seen() -> None:
    job = cook.enqueue("soup")
    nobody = visitor()
    page(nobody, code=403)
    page(nobody, f"{job.id}/change/", code=403)
    assert "Task queue" not in nobody.get("/admin/").content.decode()


def test_a_viewer_sees_no_control_and_every_post_is_refused() -> None:
    """Enabled buttons that do nothing teach people to click (experience guide, section 3)."""
    job = failed()
    viewer = visitor("view")
    for shown in (page(viewer), page(viewer, f"{job}/change/")):
        assert 'name="action"' not in shown
        assert "action-select" not in shown
    for verb in VERBS:
        post(viewer, verb, job, code=403)
    post(viewer, "delete", job, code=403, confirmed="yes")
    assert app.get_job(job).state == "failed"


@pytest.mark.parametrize("allowed", VERBS)
def test_each_action_has_a_permission_of_its_own(allowed: str) -> None:
    job = cook.enqueue("soup")
    user = visitor("view", allowed)
    listed = page(user)
    for verb in VERBS:
        assert (f'<option value="{verb}"' in listed) is (verb == allowed)
        if verb != allowed:
            post(user, verb, job.id, code=403)
    post(user, allowed, job.id)


def test_nobody_adds_or_edits_a_job() -> None:
    root = Client()
    root.force_login(User.objects.create_superuser(f"root{uuid.uuid4().hex[:8]}"))
    index = root.get("/admin/").content.decode()
    assert "Task queue" in index
    assert f"{JOBS}add/" not in index
    page(root, "add/", code=404)


def test_a_post_without_the_token_is_refused(operator: Client) -> None:
    job = failed()
    strict = visitor("view", *VERBS, enforce_csrf_checks=True)
    post(strict, "retry", job, code=403)
    assert app.get_job(job).state == "failed"


def test_get_changes_nothing(operator: Client) -> None:
    job = failed()
    for verb in VERBS:
        page(operator, f"?action={verb}&_selected_action={job}&confirmed=yes")
        page(operator, f"{job}/{verb}/", code=404)
        page(operator, f"{job}/change/?action={verb}&confirmed=yes")
    stored = app.get_job(job)
    assert (stored.state, app.broker.get([uuid.UUID(job).bytes], attempts=True)[0].operations) == ("failed", [])  # type: ignore[union-attr]


# -- operating --------------------------------------------------------------------------------------------------


def test_what_was_done_and_what_was_skipped_and_why_is_said(operator: Client) -> None:
    ended, waiting, gone = failed(), cook.enqueue("soup").id, str(uuid.uuid4())
    said = text_of(post(operator, "retry", ended, waiting, gone))
    assert "1 job is ready again." in said
    assert "2 jobs were skipped: it is ready (1); it does not exist any more (1)." in said


def test_a_unique_key_that_is_held_keeps_a_job_from_its_retry(operator: Client) -> None:
    ended = cook.using(unique_key="menu").enqueue("soup")
    run_jobs(app)
    cook.using(unique_key="menu").enqueue("stew")
    assert "another unfinished job holds its unique key (1)" in post(operator, "retry", ended.id)


def test_who_did_it_is_recorded_in_the_store_and_in_djangos_log(operator: Client) -> None:
    job = failed()
    post(operator, "retry", job)
    user = User.objects.latest("pk")
    (record,) = app.broker.get([uuid.UUID(job).bytes], attempts=True)
    assert record is not None
    assert [(done.verb, done.actor) for done in record.operations or ()] == [("retry", user.username)]
    entry = LogEntry.objects.latest("pk")
    assert (entry.user, entry.object_id, entry.get_change_message()) == (user, job, "Retried.")
    assert job in str(entry.get_admin_url())


def test_a_request_in_a_transaction_does_not_wait_for_itself(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """ATOMIC_REQUESTS would hold the file's only write lock while the store is written beside it."""
    job = failed()
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert "1 job is ready again." in post(operator, "retry", job)


def test_delete_asks_first_and_says_how_many(operator: Client) -> None:
    first, second = cook.enqueue("soup").id, cook.enqueue("stew").id
    asked = text_of(post(operator, "delete", first, second))
    assert "2 jobs will be deleted" in asked
    assert len(app.find_jobs()) == 2
    assert "2 jobs are deleted." in post(operator, "delete", first, second, confirmed="yes")
    assert app.find_jobs() == []


def test_nothing_ticked_or_no_action_chosen_does_nothing(operator: Client) -> None:
    job = failed()
    assert "Tick the jobs that are meant" in post(operator, "retry")
    assert "Tick the jobs that are meant" in post(operator, "retry", "no id", "'; DROP TABLE jobs")
    assert "No action selected" in post(operator, "", job)
    assert "No action selected" in post(operator, "explode", job)


def test_the_buttons_of_a_job_lead_back_to_it(operator: Client) -> None:
    job = failed()
    shown = page(operator, f"{job}/change/")
    assert re.findall(r'name="action" value="(\w+)"', shown) == ["retry", "delete"]
    answer = operator.post(JOBS, {"action": "retry", "_selected_action": job, "from_job": "yes"})
    assert answer["Location"] == f"{JOBS}{job}/change/"
    assert re.findall(r'name="action" value="(\w+)"', page(operator, f"{job}/change/")) == ["cancel", "delete"]


# -- reading ----------------------------------------------------------------------------------------------------


def test_the_list_pages_by_key_in_both_directions(operator: Client) -> None:
    app.enqueue_many(cook.call(str(n)) for n in range(120))
    newest = page(operator)
    assert len(rows(newest)) == 50
    older = page(operator, link(newest, "next"))
    oldest = page(operator, link(older, "next"))
    assert [len(rows(shown)) for shown in (older, oldest)] == [50, 20]
    assert 'rel="next"' not in oldest
    assert list(rows(page(operator, link(oldest, "prev")))) == list(rows(older))
    assert 'rel="prev"' not in newest


def link(shown: str, relation: str) -> str:
    found = re.search(rf'<a href="([^"]+)" rel="{relation}">', shown)
    assert found, shown
    return found[1].replace("&amp;", "&")


def test_filters_and_search_find_what_they_say(operator: Client) -> None:
    broken, soup = failed(), cook.using(queue="kitchen").enqueue("soup").id
    for query, expected in {
        "": {broken, soup},
        "?state=failed": {broken},
        "?queue=kitchen": {soup},
        "?task=tests.django.kitchen.burn": {broken},
        "?q=cook": {soup},
        f"?q={broken[:18]}": {x for x in (broken, soup) if x.startswith(broken[:18])},
        f"?q={soup}": {soup},
        "?q=state:failed,expired+since:1h": {broken},
        "?q=burn&queue=kitchen": set(),
    }.items():
        assert set(rows(page(operator, query))) == expected, query


def test_counts_stand_beside_the_states_and_the_queues(operator: Client) -> None:
    failed()
    cook.using(queue="kitchen").enqueue("soup")
    app.broker.pause("kitchen")
    words = text_of(page(operator))
    assert "failed (1)" in words
    assert "ready (1)" in words
    assert re.search(r"kitchen 1 0 0 [\d.]+ m?s paused", words)
    assert "failed (0)" in text_of(page(operator, "?queue=kitchen"))


@pytest.mark.parametrize("query", ["?q=nonsense:1", "?state=nonsense", "?after=nonsense", "?before=1", "?q=task:"])
def test_what_cannot_be_searched_for_is_said(operator: Client, query: str) -> None:
    cook.enqueue("soup")
    assert "errornote" in page(operator, query)


@on_both
def test_no_character_of_a_query_is_a_server_error(alias: str, operator: Client) -> None:
    """PostgreSQL refuses the character 0 in any text."""
    cook.enqueue("soup")
    for value in ("%00", "%C3%28", "%27%3B--", "%F0%9F%8D%B2", "9" * 5000):
        for parameter in ("q", "q=task:a&queue", "task", "state", "after", "before"):
            page(operator, f"?{parameter}={value}")
    page(operator, "%00/change/", code=404)


@pytest.mark.parametrize("job_id", ["nonsense", "0", "01a20000-0000-7000-8000-000000000000"])
def test_an_unknown_id_is_not_found(operator: Client, job_id: str) -> None:
    page(operator, f"{job_id}/change/", code=404)


def test_a_job_shows_what_the_store_knows(operator: Client) -> None:
    job = failed()
    shown = text_of(page(operator, f"{job}/change/"))
    for expected in (
        "tests.django.kitchen.burn",
        job,
        "ValueError: toast with •••",
        "Traceback of attempt 1",
        "kitchen.py",
    ):
        assert expected in shown
    assert "due to begin" not in shown


def test_a_secret_stands_nowhere(operator: Client) -> None:
    job = failed()
    for shown in (page(operator), page(operator, f"{job}/change/"), post(operator, "delete", job)):
        assert "sesame" not in shown
    assert "•••" in page(operator, f"{job}/change/")


def test_whatever_a_job_holds_is_text(operator: Client) -> None:
    """Arguments, results, errors, names of queues (S8)."""
    script = "<script>alert(1)</script>"
    job = cook.using(queue=f"q{script}", unique_key=script).enqueue(script)
    broken = burn.enqueue(script, Secret("sesame"))
    run_jobs(app)
    for path in ("", f"{job.id}/change/", f"{broken.id}/change/", f"?q={script}", f"?queue={script}"):
        shown = page(operator, path)
        assert "<script>alert" not in shown
        assert "&lt;script&gt;alert" in shown or "\\u003cscript" in shown


def test_a_message_is_listed_too(operator: Client) -> None:
    app.message_queue("letters").put({"to": "ann"})
    (record,) = app.broker.find(JobFilter())
    assert "(message)" in page(operator)
    assert "ann" in page(operator, f"{uuid.UUID(bytes=record.id)}/change/")


def test_an_empty_queue_says_so(operator: Client) -> None:
    assert "There is no job yet." in page(operator)
    assert "No job matches." in page(operator, "?state=failed")


def test_a_store_that_cannot_be_reached_is_a_page_that_says_so(operator: Client) -> None:
    url = "redis://:sesame@127.0.0.1:1/0"
    with override_settings(COMANDA={"URL": url, "DEADLINE": 0.5}):
        for path in ("", f"{uuid.uuid4()}/change/"):
            shown = page(operator, path, code=503)
            assert "The task queue cannot be reached" in shown
            assert "127.0.0.1:1" in shown
            assert "sesame" not in shown
        post(operator, "retry", str(uuid.uuid4()), code=503)


def test_listing_jobs_asks_django_for_no_job(operator: Client) -> None:
    """No task is imported for a row, and no query is made for one: the session, the user, the permissions."""
    from django.test.utils import CaptureQueriesContext

    counts = []
    for _ in range(2):
        app.enqueue_many(cook.call("soup") for _ in range(20))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page(operator)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 4


def test_dumpdata_and_the_like_find_no_rows() -> None:
    """A model without a table is read by nobody."""
    from comanda.django.models import Job

    cook.enqueue("soup")
    assert list(Job.objects.all()) == []
    assert list(Job.objects.using("other").order_by("pk")) == []
