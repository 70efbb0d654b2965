"""The app of a Django project: its store is found in Django's settings, and moves when they do."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
from django.apps import apps
from django.db import connections

from ..app import Comanda
from ..brokers.base import Broker
from ..errors import ConfigurationError
from ..runtime import Runtime
from ..settings import Settings, load
from ..worker.handle import EmbeddedWorker
from . import conf, database, receivers
from .surroundings import DjangoSurroundings


class _Runtime(Runtime):
    """The open parts; without a URL it knows why there is none."""

    def __init__(self, settings: Settings, refusal: str | None = None) -> None:
        super().__init__(settings, None)
        self._refusal = refusal

    def _open_broker(self) -> Broker:
        if self._refusal is not None:
            raise ConfigurationError(self._refusal)
        if apps.is_installed("comanda.django"):
            receivers.note_prepared(self._settings)
        return super()._open_broker()


class ProjectApp(Comanda):
    """The tasks of a Django project, and the queue in its database.

    The database's NAME is looked at with each use: a test runner puts another one there, and what was open is closed,
    so that no test ever writes into the project's own database. Where no queue can be (a database in memory, MySQL),
    `url` is empty and the first use raises ConfigurationError. Making it raises ConfigurationError for a wrong setting.
    """

    _alias: str | None = None
    _name: object = None

    def __init__(self) -> None:
        self._moving = threading.Lock()
        super().__init__(**conf.given_settings())
        self.surroundings = DjangoSurroundings()
        self._alias = self._wanted_alias()

    @property
    def alias(self) -> str | None:
        """The database that holds the queue; None when it is elsewhere."""
        return self._alias

    @property
    def settings(self) -> Settings:
        """What the app runs with, the URL of the database as it is now included."""
        self._follow()
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def runtime(self) -> Runtime:
        """The open parts of the app in this process."""
        self._follow()
        return self._runtime

    @runtime.setter
    def runtime(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def reload(self) -> None:
        """Read the setting COMANDA again: a test has overridden it. What is open is closed."""
        fresh = load(conf.given_settings())
        with self._moving:
            self._alias, self._name = None, None
            self._replace(fresh)
            self._alias = self._wanted_alias()

    def start_worker(self, path: str | None = None, **options: Any) -> EmbeddedWorker:
        """Run a worker beside this process and end it with it; see `comanda.worker.embedded`."""
        return super().start_worker(path or conf.WORKER_PATH, **options)

    def _wanted_alias(self) -> str | None:
        alias = conf.database_alias()
        return alias if alias or self._settings.url else conf.default_alias()

    def _follow(self) -> None:
        """Move to where the database is now."""
        if self._alias is None or self._name is _name_of(self._alias):
            return
        with self._moving:
            if self._name is not _name_of(self._alias):
                self._move(self._alias)

    def _move(self, alias: str) -> None:
        try:
            url, refusal = database.url_of(alias), None
        except ConfigurationError as error:
            url, refusal = "", str(error)
        self._replace(msgspec.structs.replace(self._settings, url=url), refusal)
        self._name = _name_of(alias)

    def _replace(self, settings: Settings, refusal: str | None = None) -> None:
        before = self._runtime
        self._settings, self._runtime = settings, _Runtime(settings, refusal)
        before.close()

    def _forget(self) -> None:
        self._moving = threading.Lock()
        super()._forget()


def _name_of(alias: str) -> object:
    """Return NAME, the very object: each use of the app asks whether it is still the same."""
    return connections.settings.get(alias, {}).get("NAME", "")


app = ProjectApp()
