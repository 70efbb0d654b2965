"""Removing finished jobs, oldest first, in small steps (R31, R20)."""

from __future__ import annotations

from .store import Store

_SCRIPTS = 2
"""Scripts that remove something in one step: 500 jobs each."""


class Pruner:
    """Walks along the finished jobs in the order of their enqueue, 500 at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._after = 0

    def step(self, successful_before: int, ended_before: int, keep_at_most: int) -> int:
        """Remove at most 1,000 jobs; return how many: 0 when nothing is left to remove."""
        while self._store.write("index_finished", []):
            pass
        removed = self._too_old(successful_before, ended_before)
        return removed or sum(self._store.write("trim", [keep_at_most]) for _ in range(_SCRIPTS))

    def _too_old(self, successful_before: int, ended_before: int) -> int:
        limits = [successful_before, ended_before, min(successful_before, ended_before)]
        removed, scripts, is_over = 0, 0, False
        while not is_over and scripts < _SCRIPTS:
            found, self._after, is_over = self._store.write("prune", [*limits, self._after])
            removed += found
            scripts += bool(found)
        if is_over:
            self._after = 0
        return removed
