"""A store with jobs in it, a module with an app, and the command line in this process."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from comanda.cli.program import program

from .shop import SOURCE, Shop

Run = Callable[..., Result]

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory, without settings of the developer's own."""
    for name in ("COMANDA_URL", "COMANDA_APP", "LOG_LEVEL", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shop(workplace: Path) -> Iterator[Shop]:
    """A store with tasks, to put jobs of every kind into."""
    made = Shop(workplace / "shop.db")
    yield made
    made.app.close()


@pytest.fixture
def module(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module with an app on shop.db; no test sees another one's."""
    name = f"shop_{next(_numbers)}"
    (workplace / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(workplace)
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
def run() -> Run:
    """Run `comanda …` in this process."""

    def call(*args: str, **options: Any) -> Result:
        result = CliRunner().invoke(program, args, prog_name="comanda", **options)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def data(run: Run) -> Callable[..., Any]:
    """Run `comanda … --json` and return its document."""
    return lambda *args: json.loads(run(*args, "--json").stdout)
