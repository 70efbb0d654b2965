"""The SQLite broker: jobs in a file, no server."""

from __future__ import annotations

from .broker import SQLiteBroker

__all__ = ["SQLiteBroker"]
