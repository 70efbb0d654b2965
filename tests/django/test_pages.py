"""The admin's pages in a real browser: signing in, ticking, operating; readable in light and dark, on a phone too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.browser import CHROMIUM, Browser, Page
from tests.e2e.processes import Gate, Launcher

from .sites import JOBS, Site, Visitor

pytestmark = pytest.mark.skipif(CHROMIUM is None and "CI" not in os.environ, reason="no Chromium on the PATH")

OURS = ".comanda-state, .comanda-error, .comanda-queues td, .comanda-queues th, .comanda-job pre, .comanda-verbs button"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, prepared: Path) -> Iterator[Visitor]:
    """The example project after its first orders: two jobs have failed, one waits, one queue is paused."""
    with Gate() as gate:
        launcher = Launcher(tmp_path_factory.mktemp("site"), gate)
        site = Site(launcher, {}, prepared)
        with site.serve() as visitor:
            for card in ("4000", "4010"):
                visitor.client.post("/orders/", data={"item": "tea", "card": card}).raise_for_status()
            worker = site.start("comanda", "worker")
            worker.nth("failed for good", 2)
            worker.nth("send_receipt finished", 2)
            worker.stop()
            site.manage("comanda", "queues", "pause", "payments")
            yield visitor
        launcher.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser without cookies."""
    chromium = Browser(tmp_path / "profile")
    yield chromium
    chromium.close()


@pytest.fixture
def page(server: Visitor, browser: Browser) -> Iterator[Page]:
    """A tab of somebody who has signed in. No test may make the browser complain."""
    opened = Page(browser)
    opened.open(f"{server.address}/admin/login/")
    opened.evaluate("document.querySelector('[name=username]').focus()")
    opened.type("ann")
    opened.evaluate("document.querySelector('[name=password]').focus()")
    opened.type("secret")
    submit(browser, opened, "document.querySelector('[type=submit]').click()")
    yield opened
    assert [problem for problem in opened.problems() if "favicon" not in problem] == []


def submit(browser: Browser, page: Page, script: str) -> None:
    """Run a script that leaves the page; come back when the next one is there."""
    page.evaluate(script)
    browser.wait_for("Page.loadEventFired")


def test_two_ticked_jobs_are_retried_and_one_is_deleted_after_a_question(
    browser: Browser, page: Page, server: Visitor
) -> None:
    page.open(f"{server.address}{JOBS}?state=failed")
    page.evaluate("document.querySelectorAll('.action-select').forEach(box => box.click())")
    assert page.text(".action-counter") == "2 of 2 selected"
    page.evaluate("document.querySelector('[name=action]').value = 'retry'")
    submit(browser, page, "document.querySelector('button[name=index]').click()")
    assert page.text(".messagelist") == "2 jobs are ready again."
    assert page.evaluate("location.search") == "?state=failed"
    assert "No job matches." in page.text("#content")

    page.open(f"{server.address}{JOBS}?state=ready")
    submit(browser, page, "document.querySelector('.field-id a').click()")
    submit(browser, page, "document.querySelector('.comanda-verbs [value=delete]').click()")
    assert "1 job will be deleted" in page.text("#content")
    submit(browser, page, "document.querySelector('#content [type=submit]').click()")
    assert page.text(".messagelist") == "1 job is deleted."
    assert page.evaluate("document.querySelectorAll('#result_list tbody tr').length") == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_can_be_read_in_both_schemes_and_on_a_phone(
    browser: Browser, page: Page, server: Visitor, scheme: str
) -> None:
    page.prefer(scheme)
    for width in (1280, 360):
        page.resize(width)
        page.open(f"{server.address}{JOBS}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert [text for ratio, text in page.contrasts(OURS) if ratio < 4.5] == []
        submit(browser, page, "document.querySelector('.field-id a').click()")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelectorAll('h1').length") <= 2  # the site's, on old versions, and ours
        assert [text for ratio, text in page.contrasts(OURS) if ratio < 4.5] == []


def test_the_pages_load_nothing_from_elsewhere_and_hold_no_inline_script(server: Visitor) -> None:
    """A strict Content-Security-Policy stays possible (S8)."""
    server.sign_in()
    for path in (JOBS, f"{JOBS}?state=failed"):
        shown = server.get(path)
        assert "://" not in shown.replace(server.address, "").replace("http://www.w3.org/2000/svg", "")
        assert "<script>" not in shown
        assert " onclick=" not in shown
        assert "comanda/admin.css" in shown
