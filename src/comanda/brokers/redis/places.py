"""Where this host keeps the lock files of a store's workers: below a directory of the user."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from ...errors import ConfigurationError
from ..doorbell import make_private


def runtime_directory(store_id: str) -> Path:
    """Return the private directory of one store, made by need.

    The same for every process of this user, however it spells the server's address: it is named by the store's own id.
    Raises ConfigurationError when somebody else has made it.
    """
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    mine = _own(Path(base) / f"comanda-{os.geteuid()}")
    return _own(mine / f"redis-{store_id}")


def _own(directory: Path) -> Path:
    with suppress(PermissionError):  # somebody else's: found out below
        make_private(directory)
    if directory.stat().st_uid != os.geteuid():
        raise ConfigurationError(
            f"{directory} belongs to another user, so this user's workers cannot keep their lock files there: "
            "remove it, or set XDG_RUNTIME_DIR to a directory of your own"
        )
    return directory
