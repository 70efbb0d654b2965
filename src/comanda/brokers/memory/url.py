"""memory://"""

from __future__ import annotations

from ..factory import Opening
from ..options import options
from .broker import MemoryBroker


def open_url(url: str, opening: Opening) -> MemoryBroker:
    """Return a new store in this process."""
    options(url)
    return MemoryBroker(clock=opening.clock)
