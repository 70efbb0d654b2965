"""The fixtures that pytest finds when comanda is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

SUITE = """
    from comanda import Comanda, State
    from comanda.testing import run_jobs

    app = Comanda()
    ran = []

    @app.task
    def note(text: str) -> None:
        ran.append(text)

    def test_inline(comanda_inline):
        assert comanda_inline(app) is app
        note.enqueue("a")
        assert ran == ["a"]

    def test_clock(comanda_clock):
        timed = Comanda("memory://", clock=comanda_clock)
        job = timed.task(name="later")(lambda: None).using(run_after=60).enqueue()
        assert run_jobs(timed) == 0
        comanda_clock.advance(60)
        assert run_jobs(timed) == 1
        timed.close()
"""


def test_its_fixtures_serve_a_test_suite(tmp_path: Path) -> None:
    """In a process of its own, found as a plugin by name: this suite may run where comanda is not installed."""
    import comanda

    (tmp_path / "test_shop.py").write_text(textwrap.dedent(SUITE))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "comanda.testing.plugin"],
        cwd=tmp_path,
        env=os.environ
        | {"PYTHONPATH": str(Path(comanda.__file__).parent.parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_pytest_finds_it_where_comanda_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"comanda.testing.plugin": "comanda.testing.plugin"}
