"""From a database of the Django project to the URL of a queue in it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.utils import load_backend

from ..errors import ConfigurationError, MissingExtra

_OTHERWISE = 'name another store in the Django settings, COMANDA = {"URL": "redis://…"}'

_NOT_FOR_LIBPQ = frozenset(
    {"pool", "isolation_level", "server_side_binding", "assume_role", "cursor_factory", "context", "prepare_threshold"}
)
"""OPTIONS of Django's PostgreSQL backend, or of psycopg's connect(), that are no connection parameters of libpq."""

_PLAIN_HOST = re.compile(r"[A-Za-z0-9.-]+")


def settings_of(alias: str) -> dict[str, Any]:
    """Return the settings of a database as they are now: a test runner changes NAME in them.

    Nothing is connected. Raises ConfigurationError when there is no such alias.
    """
    try:
        found: dict[str, Any] = connections.settings[alias]
    except KeyError:
        known = ", ".join(connections.settings)
        raise ConfigurationError(
            f"COMANDA in the Django settings names the database {alias!r}, and DATABASES has {known}"
        ) from None
    return found


def url_of(alias: str) -> str:
    """Return the URL of the queue in a database: sqlite:///… or postgresql://…

    Raises ConfigurationError for an alias that does not exist, for a database in memory and for other engines.
    """
    settings = settings_of(alias)
    vendor = vendor_of(alias)
    if vendor == "sqlite":
        return _sqlite(alias, settings)
    if vendor == "postgresql":
        return _postgres(settings)
    raise ConfigurationError(
        f"the database {alias!r} is {settings['ENGINE']}, where no queue can be: comanda keeps jobs in SQLite or "
        f"PostgreSQL; {_OTHERWISE}"
    )


def vendor_of(alias: str) -> str:
    """Return what Django calls the kind of a database: sqlite, postgresql, mysql …

    Raises ConfigurationError when its backend cannot be imported.
    """
    engine = settings_of(alias)["ENGINE"]
    try:
        vendor: str = load_backend(engine).DatabaseWrapper.vendor
    except ImproperlyConfigured as error:
        raise ConfigurationError(f"the database {alias!r}: {error}") from error
    return vendor


def sqlite_path(alias: str) -> Path | None:
    """Return the file of a SQLite database, None for another kind and for one in memory."""
    if vendor_of(alias) != "sqlite":
        return None
    name = settings_of(alias)["NAME"]
    return None if _is_in_memory(name) else Path(os.path.abspath(name))  # noqa: PTH100 - links stay as they are written


def _sqlite(alias: str, settings: dict[str, Any]) -> str:
    path = sqlite_path(alias)
    if path is None:
        raise ConfigurationError(
            f"the database {alias!r} is {settings['NAME'] or 'without a NAME'}: a queue needs a file that other "
            f"processes can open. In tests use comanda.testing.inline(app), or give the test database a file, "
            f'DATABASES["{alias}"]["TEST"] = {{"NAME": BASE_DIR / "test.sqlite3"}}; otherwise {_OTHERWISE}'
        )
    return f"sqlite:///{quote(str(path))}"


def is_of_test_run(name: Any) -> bool:
    """Return whether NAME is what Django's test runner calls a database in memory: no mistake of the project's."""
    return str(name).startswith("file:memorydb_")


def _is_in_memory(name: Any) -> bool:
    """Return whether NAME is no path: in memory, empty, or a URI of SQLite's."""
    return not isinstance(name, Path) and (not name or name == ":memory:" or str(name).startswith("file:"))


def _postgres(settings: dict[str, Any]) -> str:
    parameters = _libpq_options(settings)
    host, port = settings.get("HOST") or "", str(settings.get("PORT") or "")
    place = host if _PLAIN_HOST.fullmatch(host) else ""
    if host and not place:
        parameters["host"] = host  # a socket's directory, an IPv6 address, several hosts
    if port and place:
        place = f"{place}:{port}"
    elif port:
        parameters["port"] = port
    user, password = settings.get("USER") or "", settings.get("PASSWORD") or ""
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    query = f"?{urlencode(parameters, quote_via=quote)}" if parameters else ""
    return f"postgresql://{who}{'@' if who else ''}{place}/{quote(settings.get('NAME') or '', safe='')}{query}"


def _libpq_options(settings: dict[str, Any]) -> dict[str, str]:
    try:
        from psycopg.pq import Conninfo
    except ImportError:
        raise MissingExtra("postgres", "a queue in PostgreSQL") from None
    known = {default.keyword.decode() for default in Conninfo.get_defaults()}
    given = settings.get("OPTIONS") or {}
    options = {key: str(value) for key, value in given.items() if key in known and key not in _NOT_FOR_LIBPQ}
    if role := given.get("assume_role"):
        # What Django does by SET ROLE on each of its connections.
        spaceless = re.sub(r"([\\ ])", r"\\\1", role)
        options["options"] = f"{options.get('options', '')} -c role={spaceless}".strip()
    return options
