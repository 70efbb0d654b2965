"""`comanda dev`, as a real process: it introduces itself, reloads, and takes its worker with it when it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .processes import comanda, started

_APP = """
import os
from comanda import Comanda

app = Comanda("sqlite:///shop.db")
assert os.environ.get("COMANDA_WORKER") is None or os.environ["COMANDA_DEV"]


@app.task
def answer(question: str) -> str:
    return "{answer}"
"""


@pytest.fixture
def code(workplace: Path) -> Path:
    """The file of an app whose task answers "old"."""
    file = workplace / "oracle.py"
    file.write_text(_APP.replace("{answer}", "old"))
    return file


def _ask(code: Path) -> str:
    asked = comanda("run", "answer", "question=why", "--wait", "--app", "oracle", directory=code.parent)
    assert asked.returncode == 0
    return asked.stdout.strip()


def test_a_change_of_the_code_starts_a_new_worker(code: Path) -> None:
    with started("dev", "oracle:app", directory=code.parent) as (dev, lines):
        lines.until("is at work")
        assert _ask(code) == '"old"'
        code.write_text(_APP.replace("{answer}", "new"))
        assert lines.until("reload:") == "reload: oracle.py changed\n"
        lines.until("is at work")
        assert _ask(code) == '"new"'
        dev.send_signal(signal.SIGINT)
        lines.rest()
        assert dev.wait() == 0


def test_the_introduction_shows_the_store_the_tasks_and_what_to_try(code: Path) -> None:
    with started("dev", "oracle:app", directory=code.parent) as (dev, lines):
        lines.until("is at work")
        dev.send_signal(signal.SIGTERM)
        shown = lines.rest()
    assert f"store   sqlite:///{code.parent / 'shop.db'}" in shown
    assert "tasks   1: oracle.answer" in shown
    assert "worker  8 slots; reload on change" in shown
    assert "try     comanda run answer question=hello --wait --app oracle:app" in shown


def test_code_that_breaks_is_mended_by_the_next_change(code: Path) -> None:
    with started("dev", "oracle:app", directory=code.parent) as (dev, lines):
        lines.until("is at work")
        code.write_text("1 / 0\n")
        lines.until("the worker ended by itself (exit 2); it starts again when the code changes")
        assert any("ZeroDivisionError" in line for line in lines.seen)
        code.write_text(_APP.replace("{answer}", "mended"))
        lines.until("is at work")
        assert _ask(code) == '"mended"'
        dev.send_signal(signal.SIGTERM)
        lines.rest()
        assert dev.wait() == 0


def test_its_worker_ends_when_it_is_killed(code: Path) -> None:
    with started("dev", "oracle:app", directory=code.parent) as (dev, lines):
        lines.until("is at work")
        dev.kill()
        assert "stopping" in lines.rest()  # the pipe ends with the last process that could write to it


def test_an_app_without_tasks_is_introduced_too(workplace: Path) -> None:
    (workplace / "oracle.py").write_text("from comanda import Comanda\n\napp = Comanda('sqlite:///shop.db')\n")
    command = [sys.executable, "-m", "comanda.cli.introduction", "oracle"]
    shown = subprocess.run(command, cwd=workplace, capture_output=True, text=True, check=True).stdout
    assert "tasks   none yet: declare one with @app.task" in shown
    assert "try" not in shown


def test_an_app_that_cannot_be_imported_ends_it(workplace: Path) -> None:
    (workplace / "oracle.py").write_text("1 / 0\n")
    result = comanda("dev", "oracle:app", directory=workplace)
    assert result.returncode == 2
    assert result.stderr.startswith("comanda: oracle:app cannot be imported: ZeroDivisionError")
