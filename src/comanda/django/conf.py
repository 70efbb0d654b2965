"""The setting COMANDA of a Django project: a dictionary with keys in upper case, all of them optional.

DATABASE is the alias whose database holds the queue ("default"); URL names another store instead; the other keys are
the fields of `comanda.settings.Settings`.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import msgspec
from django.conf import settings as django_settings

from ..errors import ConfigurationError, UnknownOption
from ..settings import Settings, checked

SETTING = "COMANDA"

WORKER_PATH = "comanda.django.project:app"
"""Where a fresh process finds the app with all of its tasks."""

_DEFAULT_ALIAS = "default"
_KEYS = ("DATABASE", *(field.name.upper() for field in msgspec.structs.fields(Settings)))


def given_settings() -> dict[str, Any]:
    """Return the fields of Settings that COMANDA gives, by their own names.

    Raises UnknownOption for a key that does not exist, ConfigurationError when COMANDA is no dictionary, a value does
    not fit, or it names two stores.
    """
    given = {key.lower(): value for key, value in _given().items() if key != "DATABASE"}
    return checked(f"{SETTING} in the Django settings", given, lax=False)


def database_alias() -> str | None:
    """Return the alias that COMANDA asks for, None when it names none."""
    alias: str | None = _given().get("DATABASE")
    return alias


def default_alias() -> str:
    """Return the alias whose database holds the queue when nothing else is said."""
    return _DEFAULT_ALIAS


def _given() -> dict[str, Any]:
    given = getattr(django_settings, SETTING, None) or {}
    if not isinstance(given, dict):
        raise ConfigurationError(f"{SETTING} in the Django settings must be a dictionary, got {type(given).__name__}")
    for key in given:
        if key not in _KEYS:
            close = get_close_matches(str(key).upper(), _KEYS, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(_KEYS)}"
            raise UnknownOption(f"{SETTING} in the Django settings has no key {key!r}; {hint}")
    if given.get("DATABASE") and given.get("URL"):
        raise ConfigurationError(f"{SETTING} in the Django settings names two stores: leave DATABASE or URL out")
    return given
