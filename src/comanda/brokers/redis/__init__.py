"""The Redis broker: jobs in a Redis or Valkey server."""

from __future__ import annotations

from .broker import RedisBroker

__all__ = ["RedisBroker"]
