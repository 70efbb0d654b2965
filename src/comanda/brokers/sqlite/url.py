"""sqlite:///file and sqlite+apsw:///file"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from ...errors import ConfigurationError
from ..factory import Opening
from ..options import options
from . import library
from .broker import SQLiteBroker


def open_url(url: str, opening: Opening) -> SQLiteBroker:
    """Return the broker of a file: three slashes for a relative path, four for an absolute one."""
    options(url)
    scheme, _, rest = url.partition("://")
    return SQLiteBroker(
        _path(url, rest),
        library_name=library.APSW if opening.supervisor or scheme == "sqlite+apsw" else library.STANDARD,
        namespace=opening.namespace,
        clock=opening.clock,
        deadline=opening.deadline,
    )


def _path(url: str, rest: str) -> Path:
    if not rest.startswith("/"):
        raise ConfigurationError(
            f"{url!r} names no file: write sqlite:///shop.db (relative to the working directory) "
            "or sqlite:////var/lib/shop.db (absolute)"
        )
    name = unquote(rest[1:])
    if name in ("", ":memory:"):
        raise ConfigurationError(
            f"{url!r}: a queue in SQLite needs a file; for jobs in this process's memory use memory://"
        )
    return Path(name)
