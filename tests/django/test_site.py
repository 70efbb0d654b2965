"""S4-01 as processes: the example project, its server, its worker, its admin; on SQLite and on PostgreSQL."""

from __future__ import annotations

import re

import pytest

from .sites import JOBS, Site, rows, text_of


@pytest.mark.parametrize("database", ["site", "postgres_site"])
def test_jobs_live_in_the_projects_database_with_admin_pages_and_no_service(
    database: str, request: pytest.FixtureRequest
) -> None:
    """S4-01: order over HTTP, see the jobs in the admin, run them, see what became of them, retry and cancel."""
    site: Site = request.getfixturevalue(database)
    with site.serve() as visitor:
        placed = visitor.client.post("/orders/", data={"item": "tea", "card": "4000"}).json()
        visitor.sign_in()
        assert "Task queue" in visitor.get("/admin/")
        listed = rows(visitor.get(JOBS))
        assert set(listed) == {placed["receipt"], placed["payment"]}
        assert all("ready" in row for row in listed.values())

        worker = site.start("comanda", "worker")
        worker.line("is at work")
        worker.nth("shop.tasks.charge failed for good")
        worker.nth("shop.tasks.send_receipt finished")
        assert worker.stop() == 0

        listed = rows(visitor.get(JOBS))
        assert "successful" in listed[placed["receipt"]]
        assert "failed" in listed[placed["payment"]]
        assert "PermissionError: the bank refused the card of order 1" in listed[placed["payment"]]
        page = visitor.get(f"{JOBS}{placed['payment']}/change/")
        assert "Traceback of attempt 1" in page
        assert "Traceback of attempt 2" in page
        assert "shop/tasks.py" in page
        assert "4000" not in page
        assert "sent for tea" in visitor.get(f"{JOBS}{placed['receipt']}/change/")

        assert "1 job is ready again." in visitor.operate("retry", placed["receipt"])
        assert "ready" in rows(visitor.get(JOBS))[placed["receipt"]]
        site.work()
        page = visitor.get(f"{JOBS}{placed['receipt']}/change/")
        assert "successful" in page
        assert re.search(r"retried \S+ \S+ UTC ann", text_of(page))

        later = site.manage("comanda", "run", "shop.tasks.send_receipt", "order_id=1", "--in", "1h")
        (job,) = set(rows(visitor.get(JOBS))) - set(listed)
        assert job in later
        assert "scheduled" in rows(visitor.get(JOBS))[job]
        assert "1 job is cancelled" in visitor.operate("cancel", job)
        assert "cancelled" in rows(visitor.get(JOBS))[job]
