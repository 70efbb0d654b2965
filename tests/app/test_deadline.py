"""The deadline that an app is given holds where its enqueue waits: for the file's lock."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from comanda import Comanda
from comanda.errors import BrokerTimeout


def test_a_locked_file_is_waited_for_as_long_as_the_setting_says(tmp_path: Path) -> None:
    app = Comanda(f"sqlite:///{tmp_path / 'shop.db'}", deadline=0.05)
    task = app.task(name="noop")(print)
    with closing(app), closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as other:
        task.enqueue()
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BrokerTimeout, match=r"stayed locked by another connection for 0\.05 s"):
            task.enqueue()
        other.execute("COMMIT")
        assert task.enqueue().created
