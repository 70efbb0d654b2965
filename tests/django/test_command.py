"""`manage.py comanda …` and what stands around it: the example project as processes."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

from .sites import EXAMPLE, Site


def jobs(site: Site) -> list[dict[str, Any]]:
    """Return what `comanda jobs ls` lists."""
    document, _ = json.JSONDecoder().raw_decode(site.manage("comanda", "jobs", "ls", "--json"))
    found: list[dict[str, Any]] = document["jobs"]
    return found


def test_the_words_the_help_and_the_exit_codes_are_those_of_the_command(site: Site) -> None:
    assert "Usage: comanda worker" in site.manage("comanda", "worker", "--help")
    assert "Usage: comanda [OPTIONS]" in site.manage("help", "comanda")
    site.manage("comanda", "explode", code=2)
    site.manage("comanda", "jobs", "show", "abcdef", code=4)
    site.manage("comanda", "jobs", "retry", code=5)
    assert jobs(site) == []
    assert "shop.tasks.send_receipt" in site.manage("comanda", "doctor")


def test_the_options_of_manage_py_count(site: Site) -> None:
    """--settings and --pythonpath are Django's, wherever they stand, and reach the worker's children."""
    elsewhere = site.directory / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "night.py").write_text("from project.settings import *\nCOMANDA = {'NAMESPACE': 'night'}\n")
    for words in (
        ("--settings=night", "--pythonpath=elsewhere", "info"),
        ("info", "--settings", "night", "--pythonpath", "elsewhere"),
    ):
        assert "night" in site.manage("comanda", *words)
    site.manage("comanda", "run", "send_receipt", "order_id=1", "--settings=night", "--pythonpath=elsewhere")
    output = site.manage("comanda", "worker", "--burst", "--settings=night", "--pythonpath=elsewhere")
    assert "DoesNotExist" in output
    assert "no job matches" in site.manage("comanda", "jobs", "ls")


def test_the_project_is_found_from_another_directory(site: Site) -> None:
    """As from a service's unit: python /srv/shop/manage.py comanda worker."""
    aside = site.directory / "aside"
    aside.mkdir()
    process = site._launcher.start("sh", "-c", f"cd aside && exec {sys.executable} ../manage.py comanda info")
    assert process.end() == 0, process.output()
    assert str(site.directory / "shop.sqlite3") in process.output()


def test_the_supervisor_holds_no_django_and_stops_in_order(site: Site) -> None:
    """It runs no user code: the process that manage.py was has become the plain command."""
    worker = site.start("comanda", "worker")
    worker.line("is at work")
    words = Path(f"/proc/{worker.pid}/cmdline").read_text().split("\0")
    assert words[1:4] == ["-m", "comanda", "worker"]
    (child,) = site._launcher.living("comanda.worker.child")
    assert child != worker.pid
    worker.send(signal.SIGTERM)
    assert worker.end() == 0


def test_call_command_runs_it_beside_this_process(site: Site) -> None:
    program = (
        "from django.core.management import CommandError, call_command\n"
        "call_command('comanda', 'info')\n"
        "try:\n"
        "    call_command('comanda', 'jobs', 'retry')\n"
        "except CommandError as error:\n"
        "    print(error)\n"
    )
    output = site.manage("shell", "-c", program)
    assert "WAL, synchronous=FULL" in output
    assert "comanda ended with exit code 5" in output


def test_a_store_that_cannot_be_is_one_sentence(site: Site) -> None:
    (site.directory / "memory.py").write_text(
        "from project.settings import *\nDATABASES['default']['NAME'] = ':memory:'\n"
    )
    for words in (("info",), ("worker", "--burst")):
        output = site.manage("comanda", *words, "--settings=memory", code=2)
        assert 'COMANDA = {"URL"' in output
        assert "Traceback" not in output


def test_a_wrong_setting_is_one_sentence(site: Site) -> None:
    (site.directory / "wrong.py").write_text("from project.settings import *\nCOMANDA = {'CONCURENCY': 3}\n")
    for words in (("info",), ("worker", "--burst")):
        output = site.manage("comanda", *words, "--settings=wrong", code=2)
        assert "did you mean 'CONCURRENCY'?" in output
        assert "Traceback" not in output


def test_makemigrations_has_nothing_to_say(site: Site) -> None:
    """Whatever DEFAULT_AUTO_FIELD is (F38)."""
    for kind in ("AutoField", "BigAutoField", "SmallAutoField"):
        name = f"with_{kind.lower()}"
        (site.directory / f"{name}.py").write_text(
            f"from project.settings import *\nDEFAULT_AUTO_FIELD = 'django.db.models.{kind}'\n"
        )
        assert "No changes detected" in site.manage("makemigrations", "comanda", "--check", f"--settings={name}")


def test_the_migration_can_be_taken_back_and_dumpdata_works(site: Site) -> None:
    assert '"model": "comanda.' not in site.manage("dumpdata")
    site.manage("migrate", "comanda", "zero", "-v0")
    site.manage("migrate", "-v0")


def test_django_s_own_test_runner_leaves_the_project_s_file_alone(site: Site) -> None:
    """TestCase and TransactionTestCase, in memory and in a file; in the file, jobs commit with the test's rows."""
    (site.directory / "shop" / "tests.py").write_text(TESTS)
    site.manage("comanda", "run", "send_receipt", "order_id=7")
    assert "OK" in site.manage("test", "shop")
    assert "OK" in site.manage("test", "shop", "--parallel", "2")
    (site.directory / "memory.py").write_text("from project.settings import *\nDATABASES['default'].pop('TEST')\n")
    assert "OK" in site.manage("test", "shop.tests.Memory", "--settings=memory")
    assert len(jobs(site)) == 1


def test_the_guide_shows_lines_of_the_example() -> None:
    guide = (EXAMPLE.parents[1] / "docs" / "guides" / "django.md").read_text()
    for name in ("shop/tasks.py", "shop/views.py"):
        shown = guide.partition(f"# {name}\n")[2].partition("```")[0]
        code = (EXAMPLE / name).read_text()
        missing = [line for line in shown.splitlines() if line not in code.splitlines()]
        assert [line.strip() for line in missing if not line.lstrip().startswith(("...", "return"))] == []


def test_tasks_may_be_declared_before_the_applications_are_loaded_and_nothing_is_opened(site: Site) -> None:
    """F39, F1: a module that models.py imports may declare tasks."""
    (site.directory / "shop" / "early.py").write_text(EARLY)
    models = site.directory / "shop" / "models.py"
    models.write_text(f"from . import early\n{models.read_text()}")
    assert "events: []" in site.manage("shell", "-c", "from shop.early import events; print('events:', events)")
    assert "shop.early.wash" in site.manage("comanda", "doctor")


def test_a_worker_and_its_isolated_processes_clean_up_after_each_job(site: Site) -> None:
    """One thread runs all of them, or a process does: nobody meets what another one has left."""
    with (site.directory / "shop" / "tasks.py").open("a") as tasks:
        tasks.write(UNTIDY)
    program = (
        "from shop import tasks\n"
        "jobs = [tasks.leave_open.enqueue(), tasks.look.enqueue(), tasks.leave_open_apart.enqueue(), "
        "tasks.look_later.enqueue(), tasks.look.enqueue()]\n"
    )
    site.manage("shell", "-c", program)
    output = site.manage("comanda", "worker", "--burst", "--concurrency", "1")
    assert output.count("leave_open left a transaction open on the database 'default'") == 1
    assert output.count("leave_open_apart left a transaction open on the database 'default'") == 1
    assert [job["state"] for job in jobs(site)] == ["successful"] * 5


def test_a_web_process_may_start_the_worker(site: Site) -> None:
    """The children find the project by themselves: no path has to be given."""
    program = (
        "from comanda.django import app\n"
        "from shop.models import Order\n"
        "from shop.tasks import send_receipt\n"
        "worker = app.start_worker()\n"
        "print(send_receipt.enqueue(Order.objects.create(item='tea').pk).result(20))\n"
        "worker.stop()\n"
    )
    assert "sent for tea" in site.manage("shell", "-c", program)


EARLY = """
import sys

events = []
opening = ("socket.connect", "sqlite3.connect", "os.mkdir")
sys.addaudithook(lambda event, _: events.append(event) if event in opening else None)

from comanda.django import app


@app.task
def wash() -> None: ...
"""

UNTIDY = """

@app.task
def leave_open() -> None:
    from django.db import transaction

    transaction.atomic().__enter__()
    Order.objects.create(item="never")


@app.task(isolate=True)
def leave_open_apart() -> None:
    leave_open()


@app.task
def look() -> None:
    from django.db import connection

    assert not connection.in_atomic_block
    assert not Order.objects.exists()


@app.task
async def look_later() -> None:
    assert not await Order.objects.aexists()
"""

TESTS = """
from django.contrib.auth.models import Permission
from django.test import TestCase, TransactionTestCase

from comanda.django import app
from comanda.testing import inline, run_jobs

from .models import Order
from .tasks import send_receipt


class Memory(TestCase):
    def test_inline(self):
        if app.url:
            return  # this run is in a file
        order = Order.objects.create(item="tea")
        with inline(app):
            assert send_receipt.enqueue(order.pk).result() == "sent for tea"
        order.refresh_from_db()
        assert order.receipt_sent_at


class Permissions(TestCase):
    def test_of_applications_behind_ours_are_in_a_cloned_database_too(self):
        assert Permission.objects.filter(content_type__app_label="shop").count() == 4


class File(TransactionTestCase):
    def test_a_view(self):
        ids = self.client.post("/orders/", {"item": "tea", "card": "4001"}).json()
        assert run_jobs(app) == 2
        assert Order.objects.get(pk=ids["order"]).receipt_sent_at
        assert app.get_job(ids["receipt"]).state == "successful"
"""
