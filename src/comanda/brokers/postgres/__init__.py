"""The PostgreSQL broker."""

from __future__ import annotations

from .broker import PostgresBroker

__all__ = ["PostgresBroker"]
