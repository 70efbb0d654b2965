"""What comanda does when Django opens a connection, migrates a database or overrides a setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.core.signals import setting_changed
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

from ..brokers.sqlite import library
from ..brokers.sqlite.url import path_of
from ..settings import Settings
from . import conf, database


def connect(config: AppConfig) -> None:
    """Connect the receivers; once for the process."""
    connection_created.connect(_leave_checkpoints, dispatch_uid="comanda.checkpoints")
    post_migrate.connect(_migrate, sender=config, dispatch_uid="comanda.migrate")
    setting_changed.connect(_reload, dispatch_uid="comanda.reload")


def _leave_checkpoints(connection: Any, **_: Any) -> None:
    """Keep Django's own connections to the queue's file from checkpoints where its SQLite has the WAL-reset race.

    comanda's worker does them, through apsw (design section 6).
    """
    if connection.vendor != "sqlite" or not library.must_not_checkpoint(library.STANDARD):
        return
    from .project_app import app

    if database.sqlite_path(connection.alias) in _files(app.settings):
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_autocheckpoint = 0")


def note_prepared(settings: Settings) -> None:
    """Note that Django's connections to the queue's file, of this process, are as `_leave_checkpoints` makes them."""
    for path in _files(settings):
        library.note_prepared(path)


def _files(settings: Settings) -> set[Path]:
    """Return the SQLite files that hold the queue or the outbox; opens nothing."""
    return {path_of(url).absolute() for url in (settings.url, settings.outbox) if url.startswith("sqlite:")}


def _migrate(using: str, **_: Any) -> None:
    """After `manage.py migrate` of a PostgreSQL database with the queue: bring the queue's tables up to date as well.

    The tables are comanda's, the same as without Django, so no migration of Django's describes them. SQLite's are made
    by their first use: here that would put the file into WAL mode, and Django's test runner, which clones a database
    for parallel tests by copying its main file, would miss what is written next.
    """
    from .project_app import app

    if using == app.alias and app.url.startswith("postgres"):
        app.broker.migrate()


def _reload(setting: str, **_: Any) -> None:
    if setting == conf.SETTING:
        from .project_app import app

        app.reload()
