"""The memory broker: jobs in this process, for tests and trials."""

from __future__ import annotations

from .broker import MemoryBroker

__all__ = ["MemoryBroker"]
