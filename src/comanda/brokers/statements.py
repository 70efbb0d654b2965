"""A statement as a value, so that it can run on a connection that is not ours (style guide section 6)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Statement(Struct, frozen=True, gc=False):
    """SQL text with its parameters, and the placeholders of the driver it is for: `?` on SQLite, `%s` on PostgreSQL."""

    sql: str
    parameters: tuple[Any, ...] = ()
