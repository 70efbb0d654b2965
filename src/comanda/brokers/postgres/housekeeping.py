"""The store's own housekeeping: counts drawn together, and the hot tables swept before claims walk over dead rows."""

from __future__ import annotations

import time

from . import counts
from .store import Store

DEAD = 50_000
"""Dead rows of a hot table at which it is vacuumed. A claim walks over what earlier ones left at the head of the line:
some 250 pages of the index then. Autovacuum comes once a minute, when a busy worker has left 2,000,000 and more."""

PAUSES = (2.0, 60.0)
"""Seconds until the next vacuum after one that helped nothing: at first, at most. An old snapshot keeps the rows."""

# Reads counters only. Nothing is truncated, which would lock workers out.
_DEAD = f"""
SELECT relname FROM pg_stat_all_tables
WHERE relid IN ('{{ns}}.ready'::regclass, '{{ns}}.claimed'::regclass, '{{ns}}.scheduled'::regclass)
  AND n_dead_tup > {DEAD}
"""


class Housekeeper:
    """Keeps house for one store, in the process that asks for it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._not_before = 0.0
        self._pause = PAUSES[0]

    def run(self) -> None:
        """Do what is due."""
        counts.draw_together(self._store)
        if time.monotonic() < self._not_before:
            return
        tables = self._store.look(_DEAD)
        if not tables:
            return
        self._not_before = time.monotonic() + self._pause  # for one that does not come to its end
        for (table,) in tables:
            self._store.script(f"VACUUM (TRUNCATE off) {{ns}}.{table}")
        if self._store.look(_DEAD):
            self._pause = min(2 * self._pause, PAUSES[1])
        else:
            self._pause, self._not_before = PAUSES[0], 0.0
