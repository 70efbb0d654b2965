"""The page in a real browser. The tests run the jobs, so each state stays until it is looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy.orm import Session

from comanda.worker.inline import run_jobs

from .browser import CHROMIUM, Browser, Page
from .conftest import url_of
from .model_server import Model, replies

pytestmark = pytest.mark.skipif(CHROMIUM is None and "CI" not in os.environ, reason="no Chromium on the PATH")

NEWEST = "#logs > li:first-child"
ENTER, CTRL = 13, 2


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests."""
    chromium = Browser(tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, freshly opened, while no job waits. No test may make the browser complain, but of a 422."""
    finish()
    opened = Page(browser)
    opened.open(f"{address}/")
    opened.until("document.querySelector('#logs > li') || !document.getElementById('empty').hidden")
    yield opened
    assert [problem for problem in opened.problems() if "status of 422" not in problem] == []
    opened.close()


def finish(limit: int | None = None) -> int:
    """Run the jobs that wait, at most `limit` attempts; return how many."""
    from comanda.demo.tasks import app

    return run_jobs(app, limit)


def save(page: Page, entry: str) -> None:
    """Type a log and save it by the keyboard."""
    shown = page.evaluate("document.querySelectorAll('#logs > li').length")
    page.evaluate("document.getElementById('entry').focus()")
    page.type(entry)
    page.press("Enter", ENTER, CTRL)
    page.until(f"document.querySelectorAll('#logs > li').length > {shown}")
    page.until("!document.querySelector('form button').disabled")


def state(page: Page) -> str:
    return page.text(f"{NEWEST} .state")


def tags(page: Page, log: str = NEWEST) -> list[str]:
    found: list[str] = page.evaluate(f"[...document.querySelectorAll('{log} .tags li')].map(tag => tag.textContent)")
    return found


def until_done(page: Page) -> None:
    page.until(f"document.querySelector('{NEWEST}').dataset.state === 'successful'")


def test_tags_appear_by_themselves_and_survive_a_reload(page: Page, address: str) -> None:
    save(page, "Moved from Django to ImaginaryNoneExistence Cloud.")
    assert state(page) == "waiting for a worker"
    assert "saved in" in page.text(f"{NEWEST} .saved")
    assert finish() == 1
    until_done(page)
    assert tags(page) == ["Django", "ImaginaryNoneExistence Cloud"]
    assert state(page) == "done"
    assert page.text("#status").endswith(": Django, ImaginaryNoneExistence Cloud")  # read out: role=status
    page.open(f"{address}/")
    page.until("document.querySelector('#logs > li')")
    assert tags(page) == ["Django", "ImaginaryNoneExistence Cloud"]
    assert page.text(f"{NEWEST} .entry") == "Moved from Django to ImaginaryNoneExistence Cloud."


def test_a_job_that_still_waits_is_followed_after_a_reload(page: Page, address: str) -> None:
    save(page, "Wrote Rust all day: cargo, tokio.")
    page.open(f"{address}/")
    page.until("document.querySelector('#logs > li')")
    assert state(page) == "waiting for a worker"
    finish()
    until_done(page)
    assert "Rust" in tags(page)


def test_more_logs_than_streams_all_get_their_tags(page: Page) -> None:
    for number in range(5):
        save(page, f"Django, part {number}.")
    assert finish() == 5
    page.until("[...document.querySelectorAll('#logs > li')].slice(0, 5).every(log => log.querySelector('.tags li'))")


def test_the_form_is_empty_and_focused_for_the_next_log(page: Page) -> None:
    save(page, "Django")
    page.until("document.activeElement.id === 'entry'")
    assert page.evaluate("document.getElementById('entry').value") == ""


def test_a_log_without_technologies_says_so(page: Page) -> None:
    save(page, "Mostly meetings today.")
    finish()
    until_done(page)
    assert state(page) == "done, no technology found"


def test_a_failed_attempt_is_shown_by_its_type(
    page: Page, language_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    from comanda.demo.logs import job_of

    language_model.does(replies("", 500))
    monkeypatch.setenv("OPENAI_BASE_URL", url_of(language_model))
    save(page, "Django")
    finish(limit=1)
    page.until(f"document.querySelector('{NEWEST}').dataset.state === 'scheduled'")
    assert state(page) == "waiting for another attempt, ExtractionFailed at attempt 1"
    waiting = job_of(page.evaluate(f"Number(document.querySelector('{NEWEST}').id.slice(4))"))
    assert waiting is not None
    waiting.cancel()
    page.until(f"document.querySelector('{NEWEST}').dataset.state === 'cancelled'")


def test_a_refusal_is_told_and_nothing_is_lost(page: Page) -> None:
    page.evaluate("document.getElementById('entry').focus()")
    page.type("   ")
    page.press("Enter", ENTER, CTRL)
    page.until("document.getElementById('status').classList.contains('wrong')")
    assert page.text("#status").startswith("Not saved. entry: ")
    assert page.evaluate("document.getElementById('entry').value") == "   "


def test_what_was_typed_is_text_and_never_code(page: Page, address: str) -> None:
    attack = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>{{7*7}}&lt;b&gt;"
    save(page, attack)
    finish()
    until_done(page)
    page.open(f"{address}/")
    page.until("document.querySelector('#logs > li')")
    assert page.text(f"{NEWEST} .entry") == attack
    assert page.evaluate("document.querySelectorAll('#logs img, #logs script').length") == 0
    assert page.evaluate("document.title") == "Dev-Guro"


def test_a_tag_is_text_too(page: Page, client: httpx.Client, address: str) -> None:
    from comanda.demo.database import TECH_STACK, Tag, engine

    attack = "<img src=x onerror=alert(1)>"
    log_id = client.post("/logs", json={"entry": "Mostly meetings today."}).json()["id"]
    finish()
    with Session(engine) as session, session.begin():
        session.add(Tag(log_id=log_id, type=TECH_STACK, value=attack))
    page.open(f"{address}/")
    page.until("document.querySelector('#logs .tags li')")
    assert tags(page, f"#log-{log_id}") == [attack]


def test_older_logs_are_a_click_away(page: Page, client: httpx.Client, address: str) -> None:
    for number in range(21):
        client.post("/logs", json={"entry": f"log {number}"})
    finish()
    page.open(f"{address}/")
    page.until("document.querySelectorAll('#logs > li').length === 20 && !document.getElementById('older').hidden")
    page.evaluate("document.getElementById('older').click()")
    page.until("document.querySelectorAll('#logs > li').length > 20")
    numbers = page.evaluate("[...document.querySelectorAll('#logs > li')].map(log => Number(log.id.slice(4)))")
    assert numbers == sorted(set(numbers), reverse=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read_in_both_schemes(
    page: Page, client: httpx.Client, address: str, scheme: str
) -> None:
    client.post("/logs", json={"entry": "Django " + "x" * 200})
    finish()
    page.resize(360)
    page.prefer(scheme)
    page.open(f"{address}/")
    page.until("document.querySelector('#logs > li')")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert [
        text for ratio, text in page.contrasts("h1, h2, p, label, span, a, kbd, time, button, .tags li") if ratio < 4.5
    ] == []


def test_every_control_has_a_name_and_a_size_to_hit(page: Page) -> None:
    assert page.evaluate("document.getElementById('entry').labels[0].textContent") == "What did you work on?"
    assert page.evaluate("document.getElementById('status').getAttribute('role')") == "status"
    assert page.evaluate("document.querySelectorAll('h1').length") == 1
    assert page.evaluate("document.documentElement.lang") == "en"
    sizes = page.evaluate(
        "[...document.querySelectorAll('button, textarea')].filter(control => control.offsetParent)"
        ".map(control => control.getBoundingClientRect()).map(box => Math.min(box.width, box.height))"
    )
    assert min(sizes) >= 24


def test_each_state_has_an_icon_beside_its_word(page: Page) -> None:
    save(page, "Django")
    waiting = page.evaluate(f"document.querySelector('{NEWEST} use').getAttribute('href')")
    finish()
    until_done(page)
    done = page.evaluate(f"document.querySelector('{NEWEST} use').getAttribute('href')")
    assert page.evaluate(f"['{waiting}', '{done}'].every(icon => document.querySelector(icon))")
    assert waiting != done


def test_the_documentation_is_shown_without_anything_from_elsewhere(page: Page, address: str) -> None:
    page.open(f"{address}/docs")
    page.until("document.querySelectorAll('.opblock').length === 4")
    assert "Dev-Guro" in page.text(".info .title")
