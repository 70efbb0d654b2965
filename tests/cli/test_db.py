"""`comanda db`: schema, backup and restore."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comanda.brokers.records import State
from comanda.ids import from_text

from .conftest import Run
from .processes import comanda, started
from .shop import SOURCE, Shop


def set_meta(path: Path, **values: int) -> None:
    """Make a store look like another version's."""
    connection = sqlite3.connect(path)
    for key, value in values.items():
        connection.execute("UPDATE comanda_meta SET value = ? WHERE key = ?", (value, key))
    connection.commit()
    connection.close()


def test_status_shows_the_schema_that_is_there_and_the_one_that_is_wanted(
    shop: Shop, data: Callable[..., Any], run: Run
) -> None:
    shop.app.broker.open()
    assert data("db", "status", "--url", shop.url) == {
        "store": shop.url,
        "namespace": "comanda",
        "schema": 1,
        "wanted": 1,
        "oldest_client": 1,
        "needs": None,
    }
    shown = run("db", "status", "--url", shop.url)
    assert shown.exit_code == 0
    assert shown.stdout.split()[:2] == ["store", shop.url]


def test_status_fails_when_the_store_needs_a_migration(shop: Shop, workplace: Path, run: Run) -> None:
    """A file without comanda's tables: looking does not make them."""
    connection = sqlite3.connect(workplace / "plain.db")
    connection.execute("CREATE TABLE shop (name TEXT)")
    connection.close()
    for _ in range(2):
        shown = run("db", "status", "--url", "sqlite:///plain.db")
        assert shown.exit_code == 1
        assert "the store needs a migration: comanda db migrate" in shown.stderr
    migrated = run("db", "migrate", "--url", "sqlite:///plain.db")
    assert (migrated.exit_code, "applied step 1: " in migrated.stdout) == (0, True)
    assert run("db", "status", "--url", "sqlite:///plain.db").exit_code == 0
    assert run("db", "migrate", "--url", "sqlite:///plain.db").stdout.startswith("nothing to do: ")


def test_status_fails_when_the_store_is_too_new(shop: Shop, run: Run) -> None:
    shop.app.broker.open()
    shop.app.close()
    set_meta(shop.path, schema=9, oldest_client=8)
    shown = run("db", "status", "--url", shop.url)
    assert shown.exit_code == 1
    assert "knows schema 8 or newer: upgrade comanda" in shown.stderr
    assert run("db", "migrate", "--url", shop.url).exit_code == 2


def test_status_of_a_missing_store_makes_none(run: Run, workplace: Path) -> None:
    assert run("db", "status", "--url", "sqlite:///none.db").exit_code == 3
    assert not (workplace / "none.db").exists()


def test_migrate_makes_an_empty_store(data: Callable[..., Any], workplace: Path) -> None:
    assert data("db", "migrate", "--url", "sqlite:///new.db") == {"applied": [1], "schema": 1}
    assert data("db", "migrate", "--url", "sqlite:///new.db") == {"applied": [], "schema": 1}


def test_dev_migrates_by_itself(workplace: Path) -> None:
    """Before its worker starts, and before anything is enqueued."""
    (workplace / "shop.py").write_text(SOURCE)
    with started("dev", "shop:app", directory=workplace) as (_, lines):
        lines.until("try")
        assert comanda("db", "status", "--url", "sqlite:///shop.db", directory=workplace).returncode == 0


def test_a_backup_is_made_beside_a_living_worker_and_restored_when_it_has_gone(
    shop: Shop, workplace: Path, run: Run
) -> None:
    job = shop.successful()
    made = run("db", "backup", "copy.db", "--url", shop.url)
    assert made.exit_code == 0
    assert f"{shop.url} is in {workplace / 'copy.db'}" in made.stdout
    shop.failed()
    alive = run("db", "restore", "copy.db", "--url", shop.url)
    assert alive.exit_code == 5
    assert "workers are alive: " in alive.stderr
    shop.app.broker.deregister(shop.owner)
    shop.app.close()
    full = run("db", "restore", "copy.db", "--url", shop.url)
    assert full.exit_code == 5
    assert "holds 2 jobs, which would be lost: comanda db backup keeps them, --force lets them go" in full.stderr
    restored = run("db", "restore", "copy.db", "--force", "--url", shop.url)
    assert restored.exit_code == 0
    assert restored.stdout == f"{shop.url} holds what copy.db held: 1 job\n"
    assert shop.app.broker.counts() == {("default", State.SUCCESSFUL): 1}
    assert shop.app.broker.get([from_text(job.id)])[0] is not None


def test_restore_is_refused_while_the_application_has_the_store_open(shop: Shop, run: Run, workplace: Path) -> None:
    """It might write under numbers of tasks that are no longer true. Its five seconds of patience are cut short."""
    shop.app.broker.open()
    run("db", "backup", "copy.db", "--url", shop.url)
    refused = run("db", "restore", "copy.db", "--url", shop.url, env={"COMANDA_DEADLINE": "0.2"})
    assert refused.exit_code == 5
    assert "another process has the store open: stop the application and its workers" in refused.stderr


def test_restore_makes_a_store_on_a_new_host(shop: Shop, run: Run, workplace: Path) -> None:
    shop.successful()
    run("db", "backup", "copy.db", "--url", shop.url)
    assert run("db", "restore", "copy.db", "--url", "sqlite:///new.db").exit_code == 0
    assert (workplace / "new.db").exists()
    assert run("db", "restore", "missing.db", "--url", "sqlite:///other.db").exit_code == 2
    assert not (workplace / "other.db").exists()


def test_a_backup_replaces_nothing(shop: Shop, run: Run, workplace: Path) -> None:
    shop.successful()
    (workplace / "copy.db").write_text("mine")
    assert run("db", "backup", "copy.db", "--url", shop.url).exit_code == 2
    assert (workplace / "copy.db").read_text() == "mine"


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_memory_has_no_backup(run: Run, verb: str) -> None:
    assert run("db", verb, "copy.db", "--url", "memory://").exit_code == 2
