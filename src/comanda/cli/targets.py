"""From `--app` and `--url` to a store. Without an app no user code is imported."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..app import Comanda
from ..brokers.base import Capability
from ..errors import BrokerUnavailable, ComandaError, ConfigurationError, NotSupported
from ..loading import load_app

if TYPE_CHECKING:
    from ..brokers.sqlite import SQLiteBroker

F = TypeVar("F", bound=Callable[..., Any])

_NOTHING_NAMED = (
    "no store is named: --url sqlite:///shop.db or COMANDA_URL names one, --app shop.tasks:app or COMANDA_APP an app"
)


def store_options(command: F) -> F:
    """Add --app and --url to a command."""
    for option in (
        click.option("--url", metavar="URL", help="The store, without importing an app (or COMANDA_URL)."),
        click.option("--app", "app_path", metavar="APP", help="The app, module:attribute (or COMANDA_APP)."),
    ):
        command = option(command)
    return command


def wanted_app(given: str | None) -> str:
    """Return the path of the app that a command cannot do without. Raises ConfigurationError."""
    path = given or os.environ.get("COMANDA_APP")
    if not path:
        raise ConfigurationError("no app is named: write module:attribute, such as shop.tasks:app, or set COMANDA_APP")
    return path


def import_app(path: str) -> Comanda:
    """Import an app; what its module raises becomes a ConfigurationError that names the place."""
    try:
        return load_app(path)
    except ComandaError:
        raise
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.relpath(place.filename)}:{place.lineno}"
        raise ConfigurationError(f"{path} cannot be imported: {type(error).__name__}: {error} ({where})") from error


def named_app(app_path: str | None, url: str | None) -> tuple[str | None, Comanda]:
    """Return the path of the app that is named, and the app; without one, None and a bare app without tasks.

    The latter is for `url`, or COMANDA_URL, or a settings file. Raises ConfigurationError.
    """
    if app_path and url:
        raise click.UsageError("give --app or --url, not both")
    path = app_path or (None if url else os.environ.get("COMANDA_APP")) or None
    return path, import_app(path) if path else Comanda(url)


@contextmanager
def existing_store(app_path: str | None, url: str | None) -> Iterator[Comanda]:
    """Yield an app on a store that exists, nothing opened yet; closed afterwards.

    Raises ConfigurationError when nothing is named, NotSupported for memory://, BrokerUnavailable for a missing file.
    """
    with closing(named_app(app_path, url)[1]) as app:
        refuse_missing(app)
        yield app


@contextmanager
def closing(app: Comanda) -> Iterator[Comanda]:
    """Yield the app and close it; raise ConfigurationError when it has no store, NotSupported for memory://."""
    if not app.url:
        raise ConfigurationError(_NOTHING_NAMED)
    try:
        if Capability.CROSS_PROCESS not in app.broker.capabilities:
            raise NotSupported(f"jobs on {app.url} live inside their own process, where no other command can see them")
        yield app
    finally:
        app.close()


def sqlite_broker(app: Comanda) -> SQLiteBroker | None:
    """Return the broker of an app whose store is a SQLite file."""
    from ..brokers.sqlite import SQLiteBroker

    return app.broker if isinstance(app.broker, SQLiteBroker) else None


def refuse_missing(app: Comanda) -> None:
    """Raise BrokerUnavailable when the store is a file that does not exist: looking must not make one."""
    broker = sqlite_broker(app)
    if broker is not None and not broker.path.exists():
        raise BrokerUnavailable(
            f"there is no database {broker.path}: the first enqueue or worker makes it "
            "(a relative path is taken from the working directory)"
        )
