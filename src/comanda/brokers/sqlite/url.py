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
    scheme = url.partition("://")[0]
    return SQLiteBroker(
        path_of(url),
        library_name=library.APSW if opening.supervisor or scheme == "sqlite+apsw" else library.STANDARD,
        namespace=opening.namespace,
        clock=opening.clock,
        deadline=opening.deadline,
    )


def path_of(url: str) -> Path:
    """Return the file that a URL names; raise ConfigurationError when it names none."""
    rest = url.partition("://")[2]
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
