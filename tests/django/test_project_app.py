"""Where the queue of a project is: from its settings to a URL, in test runs too."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.test import override_settings

from comanda import ConfigurationError, UnknownOption
from comanda.brokers.postgres import PostgresBroker
from comanda.brokers.sqlite import SQLiteBroker, library
from comanda.django import app, checks, database
from comanda.testing import inline, run_jobs

from .kitchen import cook


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Declare further databases, which nobody opens."""

    def add(alias: str, **settings: Any) -> str:
        given = {"default": connections.settings["default"], alias: settings}
        monkeypatch.setitem(connections.settings, alias, connections.configure_settings(given)[alias])
        return database.url_of(alias)

    return add


def test_a_sqlite_database_is_a_file_through_the_interpreters_library(declare: Any, tmp_path: Path) -> None:
    """The library that Django uses: two on one file lose committed rows (R43)."""
    path = tmp_path / "über uns?#1.db"
    url = declare("here", ENGINE="django.db.backends.sqlite3", NAME=path)
    assert url.startswith("sqlite:////")
    with override_settings(COMANDA={"DATABASE": "here"}):
        broker = app.broker
        assert isinstance(broker, SQLiteBroker)
        assert (broker.path, broker.library) == (path, library.STANDARD)
    assert not path.exists()


def test_a_relative_name_is_taken_from_the_working_directory(
    declare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the driver does."""
    monkeypatch.chdir(tmp_path)
    assert declare("here", ENGINE="django.db.backends.sqlite3", NAME="shop.db") == f"sqlite:///{tmp_path}/shop.db"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"NAME": "shop"}, "postgresql:///shop"),
        (
            {"NAME": "shop", "USER": "an/n", "PASSWORD": "a@b:c", "HOST": "db.example.org", "PORT": 5433},
            "postgresql://an%2Fn:a%40b%3Ac@db.example.org:5433/shop",
        ),
        ({"NAME": "shop", "HOST": "/run/pg", "PORT": "5433"}, "postgresql:///shop?host=%2Frun%2Fpg&port=5433"),
        ({"NAME": "shop", "HOST": "::1"}, "postgresql:///shop?host=%3A%3A1"),
        (
            {"NAME": "shop", "OPTIONS": {"sslmode": "require", "pool": True, "isolation_level": 2}},
            "postgresql:///shop?sslmode=require",
        ),
        ({"NAME": "", "OPTIONS": {"service": "shop"}}, "postgresql:///?service=shop"),
        (
            {"NAME": "shop", "OPTIONS": {"assume_role": "the owner", "options": "-c a.b=1"}},
            "postgresql:///shop?options=-c%20a.b%3D1%20-c%20role%3Dthe%5C%20owner",
        ),
    ],
)
def test_a_postgresql_database_is_a_url_with_what_libpq_knows(declare: Any, given: dict[str, Any], url: str) -> None:
    assert declare("pg", ENGINE="django.db.backends.postgresql", **given) == url
    with override_settings(COMANDA={"DATABASE": "pg"}):
        assert isinstance(app.broker, PostgresBroker)


def test_a_role_that_django_assumes_is_the_queues_too(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with connections[postgres].cursor() as cursor:
        cursor.execute('CREATE ROLE "the owner"')
        monkeypatch.setitem(connections.settings[postgres], "OPTIONS", {"assume_role": "the owner"})
        import psycopg

        with psycopg.connect(database.url_of(postgres)) as other:
            assert other.execute("SELECT current_user").fetchone() == ("the owner",)
        cursor.execute('DROP ROLE "the owner"')


@pytest.mark.parametrize("name", [":memory:", "", "file:memorydb_default?mode=memory&cache=shared"])
def test_a_database_in_memory_holds_no_queue(declare: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=r'COMANDA = \{"URL"'):
        declare("memory", ENGINE="django.db.backends.sqlite3", NAME=name)


def test_another_engine_holds_no_queue(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "vendor_of", lambda _: "mysql")
    with pytest.raises(ConfigurationError, match=r'django.db.backends.mysql, where no queue.*COMANDA = \{"URL"'):
        declare("mine", ENGINE="django.db.backends.mysql", NAME="shop")


def test_comanda_url_or_a_url_in_the_settings_is_another_store(monkeypatch: pytest.MonkeyPatch) -> None:
    with override_settings(COMANDA={"URL": "memory://"}):
        assert (app.url, app.alias) == ("memory://", None)
    monkeypatch.setenv("COMANDA_URL", "memory://")
    with override_settings(COMANDA={}):
        assert (app.url, app.alias) == ("memory://", None)
    with override_settings(COMANDA={"DATABASE": "other"}):
        assert app.url.endswith("other.sqlite3")


def test_the_other_settings_are_comandas_own() -> None:
    with override_settings(COMANDA={"NAMESPACE": "shop", "CONCURRENCY": 3}):
        assert (app.namespace, app.settings.concurrency) == ("shop", 3)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"CONCURENCY": 3}, "no key 'CONCURENCY'; did you mean 'CONCURRENCY'"),
        ({"database": "default"}, "no key 'database'; did you mean 'DATABASE'"),
        ({"CONCURRENCY": "many"}, "COMANDA in the Django settings: concurrency must be int"),
        ({"DATABASE": "default", "URL": "memory://"}, "names two stores"),
        ("sqlite:///shop.db", "must be a dictionary"),
    ],
)
def test_a_wrong_setting_is_named(given: Any, sentence: str) -> None:
    from comanda.django import conf

    with override_settings():
        from django.conf import settings

        settings.COMANDA = given
        with pytest.raises(ConfigurationError, match=sentence):
            conf.given_settings()
        (said,) = checks.check_settings()
        assert (said.id, sentence in said.msg, bool(said.hint)) == ("comanda.E001", True, True)
        assert checks.check_database() == []


def test_an_unknown_key_is_an_unknown_option() -> None:
    with pytest.raises(UnknownOption), override_settings(COMANDA={"QUEUE": 1}):
        pass


def test_the_checks_name_a_missing_database_and_an_unfit_one(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with override_settings(COMANDA={"DATABASE": "replica"}):
        assert [found.id for found in checks.check_database()] == ["comanda.E002"]
    with pytest.raises(ConfigurationError):
        declare("memory", ENGINE="django.db.backends.sqlite3", NAME=":memory:")
    with override_settings(COMANDA={"DATABASE": "memory"}):
        (found,) = checks.check_database()
        assert found.id == "comanda.E003"


def test_the_checks_advise_begin_immediate(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.check_database() == []
    monkeypatch.setitem(connections.settings["default"], "OPTIONS", {})
    (found,) = checks.check_database()
    assert (found.id, "transaction_mode" in found.hint) == ("comanda.W001", True)


def test_the_checks_advise_against_the_write_lock_around_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    (found,) = checks.check_database()
    assert (found.id, "ATOMIC_REQUESTS" in found.msg) == ("comanda.W002", True)


def test_a_test_run_moves_the_queue_with_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django's test runner puts another NAME into the settings: nothing of a test may reach the project's own file."""
    own = cook.enqueue("soup")
    monkeypatch.setitem(connections.settings["default"], "NAME", str(tmp_path / "test.db"))
    tested = cook.enqueue("stew")
    assert [job.id for job in app.find_jobs()] == [tested.id]
    monkeypatch.undo()
    assert [job.id for job in app.find_jobs()] == [own.id]


def test_in_a_test_run_in_memory_nothing_is_written_and_inline_mode_works(monkeypatch: pytest.MonkeyPatch) -> None:
    own = cook.enqueue("soup")
    monkeypatch.setitem(connections.settings["default"], "NAME", "file:memorydb_default?mode=memory&cache=shared")
    with pytest.raises(ConfigurationError, match="inline"):
        cook.enqueue("stew")
    with inline(app):
        assert cook.enqueue("stew").result() == "stew"
    monkeypatch.undo()
    assert [job.id for job in app.find_jobs()] == [own.id]


def test_many_threads_at_the_moment_of_the_move_share_one_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings["default"], "NAME", str(tmp_path / "test.db"))
    start, found = threading.Barrier(8), []

    def look() -> None:
        start.wait()
        found.append(app.broker)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(broker) for broker in found}) == 1


def test_djangos_connections_to_the_queues_file_leave_checkpoints_to_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where SQLite has the WAL-reset race, design section 6; on other files and libraries nothing is touched."""
    for race, alias, expected in ((True, "default", 0), (True, "other", 1000), (False, "default", 1000)):
        monkeypatch.setattr(library, "must_not_checkpoint", lambda _, race=race: race)
        connections[alias].close()
        with connections[alias].cursor() as cursor:
            cursor.execute("PRAGMA wal_autocheckpoint")
            assert cursor.fetchone() == (expected,)
        connections[alias].close()


def test_the_connection_of_a_project_needs_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    from django.db import transaction

    connection.close()
    with transaction.atomic():
        cook.using(connection=connection).enqueue("soup")
    assert app.broker.describe().get("warning") is None
    assert run_jobs(app) == 1
    assert len(recwarn) == 0
