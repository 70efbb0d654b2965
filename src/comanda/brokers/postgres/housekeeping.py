"""The store's own housekeeping: counts drawn together, and the hot tables swept before claims walk over dead rows."""

from __future__ import annotations

import time

from ...errors import BrokerError
from . import counts
from .store import Store

DEAD = 50_000
"""Dead rows of a hot table at which it is vacuumed. A claim walks over what earlier ones left at the head of the line:
some 250 pages of the index then. Autovacuum comes once a minute, when a busy worker has left 2,000,000 and more."""

PAUSE = 60.0
"""Seconds until the next try after a vacuum did not come to its end."""

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

    def run(self) -> None:
        """Do what is due."""
        counts.draw_together(self._store)
        if time.monotonic() < self._not_before:
            return
        for (table,) in self._store.look(_DEAD):
            try:
                self._store.script(f"VACUUM (TRUNCATE off) {{ns}}.{table}")
            except BrokerError:
                self._not_before = time.monotonic() + PAUSE
                raise
