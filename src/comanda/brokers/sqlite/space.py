"""Giving the room of removed rows back to the file system, a step at a time (retention that can be seen with `ls`).

Files that comanda creates keep what this takes (`auto_vacuum = INCREMENTAL`, set before the first page is written; no
cost measured: 60,000 jobs, CPU time of enqueue, exchange and prune within 3 % either way, log not longer). In a file
made by an application without it, free pages are used again and the file stays as large as it once was, until its
owner runs VACUUM.
"""

from __future__ import annotations

import time

from .store import Store

KEPT = 4
"""One page in so many may stay free: the next jobs need some, and a file that breathes in and out is no use."""

LEAST = 1_000
"""Free pages (4 MB) that are not worth a write."""

STEP = 250
"""Pages of one transaction: at most 5 ms with the write lock, when all of them have to be moved."""

SECONDS = 0.2
"""Time of one round, of which there is one a second."""

_INCREMENTAL = 2


def give_back(store: Store) -> int:
    """Return free pages to the file system while too many are free; return how many.

    A step in any case, however busy the machine is, and more for SECONDS.
    """
    until = time.monotonic() + SECONDS
    given = 0
    while _excess(store):
        with store.write(durable=False) as session:
            session.run(f"PRAGMA incremental_vacuum({STEP})")
        given += STEP
        if time.monotonic() >= until:
            break
    return given


def _excess(store: Store) -> bool:
    with store.peek() as session:
        free, pages, mode = (
            int(session.run(f"PRAGMA {name}")[0][0]) for name in ("freelist_count", "page_count", "auto_vacuum")
        )
    return mode == _INCREMENTAL and free > LEAST and free * KEPT > pages
