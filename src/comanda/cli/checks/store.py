"""Whether the store answers, and how fast."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from ...brokers.base import Broker
from .finding import Finding, hint, ok

_TRIPS = 5
_SLOW = 0.1
"""Seconds of a read after which a producer is likely to notice."""


def round_trip(broker: Broker) -> Finding:
    """Open the store and time reads. Raises ComandaError when it cannot be opened."""
    broker.open()
    seconds = statistics.median(_timed(broker) for _ in range(_TRIPS))
    name = broker.describe().get("store", type(broker).__name__)
    message = f"{name}, schema current, round trip {seconds * 1000:.2f} ms"
    if seconds > _SLOW:
        return hint("store", message, "look at the load of this host and of the disk")
    return ok("store", message)


def server(broker: Broker) -> Iterator[Finding]:
    """Look at what the server of an opened store promises, if there is one."""
    described = broker.describe()
    if "server" in described:
        found = f"{described['server']}, {described['durability']}"
        if warning := described.get("warning"):
            yield hint("server", f"{found}: {warning}", "mend it, or know what it may cost: docs/brokers.md")
        else:
            yield ok("server", found)


def _timed(broker: Broker) -> float:
    begin = time.perf_counter()
    broker.counts()
    return time.perf_counter() - begin
