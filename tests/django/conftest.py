"""A Django project inside this process: two SQLite files, the admin, and a namespace of the queue for each test."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import psycopg
import pytest
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

from tests.e2e.processes import Gate, Launcher

from .sites import Site

_FILES = Path(tempfile.mkdtemp(prefix="comanda-django-"))


def _sqlite(name: str) -> dict[str, Any]:
    options = {"transaction_mode": "IMMEDIATE", "timeout": 20}
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": _FILES / name, "OPTIONS": options, "CONN_MAX_AGE": None}


# Django is configured once for a process, when the first test of this folder is collected.
settings.configure(
    ALLOWED_HOSTS=["testserver"],
    DATABASES={"default": _sqlite("default.sqlite3"), "other": _sqlite("other.sqlite3")},
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "comanda.django",
    ],
    LOGGING_CONFIG=None,
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF="tests.django.urls",
    SECRET_KEY="of no use outside of a test",
    STATIC_URL="/static/",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    USE_TZ=True,
)
django.setup()

_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def _tables() -> Iterator[None]:
    """The tables of both files; of the queue, too, where it is."""
    from django.core.management import call_command
    from django.db import connections

    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("COMANDA_")]:
            environment.delenv(name)
        call_command("migrate", verbosity=0)
        call_command("migrate", database="other", verbosity=0)
        yield
    connections.close_all()


@pytest.fixture(autouse=True)
def _fresh_queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A queue of the test's own in the default database."""
    from django.test import override_settings

    from comanda.django import app

    for name in [name for name in os.environ if name.startswith("COMANDA_")]:
        monkeypatch.delenv(name)
    with override_settings(COMANDA={"NAMESPACE": f"n{os.getpid()}_{next(_numbers)}"}):
        yield
        app.close()


@pytest.fixture
def postgres(postgres_url: str, namespace: str) -> Iterator[str]:
    """The alias of a PostgreSQL database, in which the queue is."""
    from django.db import connections
    from django.test import override_settings

    from comanda.django import app

    server = conninfo_to_dict(postgres_url)
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": server["dbname"],
        "USER": server.get("user", ""),
        "PASSWORD": server.get("password", ""),
        "HOST": server.get("host", ""),
        "PORT": server.get("port", ""),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
    default = connections.settings["default"]
    connections.settings["postgres"] = connections.configure_settings({"default": default, "postgres": database})[
        "postgres"
    ]
    with override_settings(COMANDA={"DATABASE": "postgres", "NAMESPACE": namespace}):
        app.broker.migrate()
        yield "postgres"
        app.close()
    connections["postgres"].close()
    del connections["postgres"]
    del connections.settings["postgres"]


@pytest.fixture
def alias(request: pytest.FixtureRequest) -> str:
    """The database with the queue: SQLite's or PostgreSQL's, by the parameter."""
    if request.param == "postgresql":
        request.getfixturevalue("postgres")
        return "postgres"
    return "default"


on_both = pytest.mark.parametrize("alias", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a project on SQLite with its tables and its user, to be copied."""
    directory = tmp_path_factory.mktemp("prepared")
    with Gate() as gate:
        launcher = Launcher(directory, gate)
        Site(launcher, {}).set_up()
        launcher.close()
    return directory


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    """What starts processes, and kills them in the end."""
    with Gate() as gate:
        started = Launcher(tmp_path, gate)
        yield started
        started.close()


@pytest.fixture
def site(launcher: Launcher, prepared: Path) -> Site:
    """The project on SQLite."""
    return Site(launcher, {}, prepared)


@pytest.fixture
def postgres_site(launcher: Launcher, postgres_url: str, namespace: str) -> Iterator[Site]:
    """The project in a PostgreSQL database of its own."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {namespace}".encode())
        server = conninfo_to_dict(postgres_url)
        names = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}
        environment = {name: str(server[key]) for name, key in names.items() if key in server}
        made = Site(launcher, {**environment, "PGDATABASE": namespace})
        made.set_up()
        yield made
        launcher.close()
        connection.execute(f"DROP DATABASE {namespace} WITH (FORCE)".encode())
