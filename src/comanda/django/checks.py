"""What `manage.py check` says about the queue. Nothing is connected (F14)."""

from __future__ import annotations

from typing import Any

from django.core import checks

from ..errors import ConfigurationError
from . import conf, database


def register() -> None:
    """Let `manage.py check` ask."""
    checks.register(check_settings, checks.Tags.compatibility)
    checks.register(check_database, checks.Tags.compatibility)


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Look at the setting COMANDA."""
    try:
        conf.given_settings()
    except ConfigurationError as error:
        hint = "The keys are DATABASE, URL, NAMESPACE and the other settings of comanda in upper case."
        return [checks.Error(str(error), hint=hint, id="comanda.E001")]
    return []


def check_database(**_: Any) -> list[checks.CheckMessage]:
    """Look at the database that holds the queue, if one does."""
    try:
        from .project_app import app

        alias = app.alias
        if alias is None:
            return []
        settings = database.settings_of(alias)
    except ConfigurationError as error:
        if check_settings():  # said already
            return []
        return [checks.Error(str(error), hint="Name an alias of DATABASES, or leave DATABASE out.", id="comanda.E002")]
    if database.is_of_test_run(settings["NAME"]):
        return []
    try:
        database.url_of(alias)
    except ConfigurationError as error:
        hint = 'SQLite in a file and PostgreSQL hold a queue; COMANDA["URL"] names any other store.'
        return [checks.Error(str(error), hint=hint, id="comanda.E003")]
    return _sqlite_advice(alias, settings)


def _sqlite_advice(alias: str, settings: dict[str, Any]) -> list[checks.CheckMessage]:
    """Advise BEGIN IMMEDIATE, but not around each request (F34)."""
    if database.vendor_of(alias) != "sqlite":
        return []
    mode = str((settings.get("OPTIONS") or {}).get("transaction_mode")).upper()
    if mode not in ("IMMEDIATE", "EXCLUSIVE"):
        return [
            checks.Warning(
                f"The database {alias!r} is shared with workers, and its transactions begin without the write lock: "
                "one that reads before it writes may fail with 'database is locked'.",
                hint=f'DATABASES["{alias}"]["OPTIONS"] = {{"transaction_mode": "IMMEDIATE", "timeout": 20}}',
                id="comanda.W001",
            )
        ]
    if settings.get("ATOMIC_REQUESTS"):
        return [
            checks.Warning(
                f"The database {alias!r} has ATOMIC_REQUESTS and transaction_mode {mode}: each request holds the only "
                "write lock from its beginning to its end, and workers wait for it.",
                hint="Open transaction.atomic() in the views that write, and leave ATOMIC_REQUESTS out.",
                id="comanda.W002",
            )
        ]
    return []
