"""Settings: keyword, then COMANDA_* in the environment, then `comanda.toml` or `[tool.comanda]`, then the default."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from .errors import ConfigurationError, UnknownOption
from .outbox.factory import check_url

_DAY = 86_400.0

_MOST = {"concurrency": 10_000, "processes": 1_000, "payload_limit": 500_000_000, "result_limit": 500_000_000}
"""More is a slip of the finger, or more than SQLite can store: 1,000,000,000 bytes a row, arguments and result."""

_FOREVER = 10_000_000_000
"""317 years in seconds: infinity has no form in the messages between a worker's processes."""

_NO_SETTINGS = ("app", "dev", "worker")
"""COMANDA_APP names the app for the command line, COMANDA_DEV and COMANDA_WORKER mark processes of comanda's own."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an app runs with. Times are seconds, sizes bytes."""

    url: str = ""
    """Where jobs live: sqlite:///file, sqlite+apsw:///file, postgresql://…, redis://…, memory://."""
    namespace: str = "comanda"
    """Several apps may share a store: prefix of the tables, PostgreSQL's schema, prefix and hash tag of Redis keys."""
    outbox: str = ""
    """The application's database, when jobs live elsewhere: sqlite:///file, postgresql://…"""
    concurrency: int = 8
    """Jobs that one child runs at a time."""
    processes: int = 1
    """Children of one worker."""
    lease: float = 10.0
    """Silence after which a worker is dead."""
    heartbeat: float = 3.0
    """Time between two renewals."""
    rescue: float = 2.0
    """Time between two looks for dead workers, with jitter."""
    grace: float = 25.0
    """Time that running jobs get to finish when a worker stops."""
    deadline: float = 5.0
    """Time within which enqueue answers or raises."""
    payload_limit: int = 1_048_576
    """Largest encoded arguments of one job."""
    result_limit: int = 1_048_576
    """Largest encoded result of one job."""
    keep_successful: float = 7 * _DAY
    """How long successful jobs and their results are kept."""
    keep_failed: float = 30 * _DAY
    """How long failed, cancelled and expired jobs are kept."""
    keep_at_most: int = 1_000_000
    """Finished jobs kept at most."""
    log_level: str = "INFO"
    """Level of the worker's log lines."""

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            if not 1 <= getattr(self, name) <= most:
                raise ConfigurationError(f"{name} must be at least 1 and at most {most:,}, got {getattr(self, name)}")
        for name in ("lease", "heartbeat", "rescue", "deadline"):
            if not 0 < getattr(self, name) <= 3600:
                raise ConfigurationError(f"{name} must be more than 0 and at most 3600 s, got {getattr(self, name)}")
        for name in ("grace", "keep_successful", "keep_failed", "keep_at_most"):
            if not 0 <= getattr(self, name) <= _FOREVER:
                raise ConfigurationError(
                    f"{name} must not be negative and at most {_FOREVER:,}, got {getattr(self, name)}"
                )
        if self.lease < 2 * self.heartbeat:
            raise ConfigurationError(
                f"lease ({self.lease:g} s) must be at least twice heartbeat ({self.heartbeat:g} s): "
                "a single late renewal would cost a healthy worker its jobs"
            )
        self._check_words()

    def _check_words(self) -> None:
        if self.outbox:
            check_url(self.outbox)
        if not _is_namespace(self.namespace):
            raise ConfigurationError(f"namespace {self.namespace!r} must be a-z, 0-9 and _, 1 to 30, starting with a-z")
        if self.log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
            raise ConfigurationError(f"log_level {self.log_level!r} is not DEBUG, INFO, WARNING, ERROR or CRITICAL")


def load(
    keywords: Mapping[str, Any],
    environment: Mapping[str, str] = os.environ,
    directory: Path | None = None,
) -> Settings:
    """Merge the four sources into one record.

    `directory` is where `comanda.toml` or `pyproject.toml` is looked for (default: the working directory). Raises
    UnknownOption for a key that does not exist and ConfigurationError for a value that does not fit, naming the source.
    """
    merged: dict[str, Any] = {}
    for source, values, lax in (
        *_files(directory or working_directory()),
        ("the environment", _from_environment(environment), True),
        ("Comanda(…)", {key: value for key, value in keywords.items() if value is not None}, False),
    ):
        merged |= checked(source, values, lax=lax)
    return Settings(**merged)


def working_directory() -> Path:
    """Return where this process works; raises ConfigurationError when that directory was removed or is closed to us."""
    try:
        return Path.cwd()
    except OSError as error:
        sentence = f"the working directory cannot be read: {error.strerror}; start in another one"
        raise ConfigurationError(sentence) from None


def _files(directory: Path) -> list[tuple[str, Mapping[str, Any], bool]]:
    own = directory / "comanda.toml"
    if (values := _parse(own)) is not None:
        return [(str(own), values, False)]
    project = directory / "pyproject.toml"
    if (values := _parse(project)) is not None:
        source = f"[tool.comanda] in {project}"
        return [(source, _table(source, values, "tool", "comanda"), False)]
    return []


def _parse(path: Path) -> dict[str, Any] | None:
    """Return what the file says, None when there is no such file; one that may not be looked for is no absent file."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None


def _table(source: str, values: Any, *path: str) -> dict[str, Any]:
    for key in path:
        values = values.get(key, {}) if isinstance(values, dict) else values
    if not isinstance(values, dict):
        raise ConfigurationError(f"{source} must be a table of settings, got {values!r:.100}")
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the settings among the variables. LOG_LEVEL is read as well, the name that containers use (S2-16)."""
    found = {key[8:].lower(): value for key, value in environment.items() if key.startswith("COMANDA_")}
    for name in _NO_SETTINGS:
        found.pop(name, None)
    if "LOG_LEVEL" in environment:
        found.setdefault("log_level", environment["LOG_LEVEL"])
    return found


def checked(source: str, values: Mapping[str, Any], *, lax: bool) -> dict[str, Any]:
    """Return `values` as the fields' types; `lax` takes them from texts. `source` says in errors where they are from.

    Raises UnknownOption for a name that is no setting, ConfigurationError for a value that does not fit.
    """
    fields = {field.name: field for field in msgspec.structs.fields(Settings)}
    fit = {}
    for key, value in values.items():
        if key not in fields:
            close = get_close_matches(key, fields, 1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(fields)}"
            raise UnknownOption(f"{source}: there is no setting {key!r}{hint}")
        try:
            fit[key] = msgspec.convert(value, fields[key].type, strict=not lax)
        except msgspec.ValidationError:
            expected = getattr(fields[key].type, "__name__", str(fields[key].type))
            raise ConfigurationError(f"{source}: {key} must be {expected}, got {value!r}") from None
    return fit


def _is_namespace(text: str) -> bool:
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789_")
    return 0 < len(text) <= 30 and set(text) <= allowed and text[0].isalpha()
