"""Which jobs a filter means, page by page along their ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..records import JobFilter, State
from . import records
from .store import Argument, Store

STEP = 500
"""Ids that one script looks at."""

_BADLY = frozenset({State.FAILED, State.CANCELLED, State.EXPIRED})


class Selection:
    """A filter, ready to be asked for by id."""

    def __init__(self, store: Store, which: JobFilter, *, oldest_first: bool = True) -> None:
        self._store = store
        self._oldest_first = oldest_first
        self._ids = None if which.ids is None else sorted(set(which.ids), reverse=not oldest_first)
        self._bounds = (b"-", b"+") if which.id_prefix is None else _bounds(which.id_prefix)
        self._source = "bad" if which.states is not None and _BADLY.issuperset(which.states) else "ids"
        self._filter = records.encode(
            (
                None if which.states is None else records.codes(which.states),
                None if which.tasks is None else dict.fromkeys(which.tasks, True),
                None if which.queues is None else dict.fromkeys(which.queues, True),
                which.since,
            )
        )

    def steps(self, limit: int | None, after: bytes | None = None, *, whole: bool = False) -> Iterator[list[Any]]:
        """Yield what matches behind `after`, step by step: ids, or the parts of `whole` jobs one after the other."""
        ids = self._ids
        while True:
            wanted = STEP if limit is None else min(limit, STEP)
            chunk = None if ids is None else self._chunk(ids, after)
            if wanted <= 0 or chunk == []:
                return
            last, found = self._store.read("select", self._arguments(chunk, after, wanted, whole=whole))
            yield found
            if limit is not None:
                limit -= len(found) // (4 if whole else 1)
            if not last:
                return
            after = last

    def _chunk(self, ids: Sequence[bytes], after: bytes | None) -> list[bytes]:
        low, high = self._bounds
        within = [
            id_
            for id_ in ids
            if (after is None or (id_ > after if self._oldest_first else id_ < after))
            and (low == b"-" or low[1:] <= id_ <= high[1:])
        ]
        return within[:STEP]

    def _arguments(self, chunk: list[bytes] | None, after: bytes | None, wanted: int, *, whole: bool) -> list[Argument]:
        low, high = self._bounds
        if after is not None and self._oldest_first and (low == b"-" or after >= low[1:]):
            low = b"(" + after
        elif after is not None and not self._oldest_first and (high == b"+" or after <= high[1:]):
            high = b"(" + after
        source = self._source if chunk is None else ""
        return [source, low, high, int(not self._oldest_first), wanted, int(whole), self._filter, *(chunk or ())]


def _bounds(prefix: str) -> tuple[bytes, bytes]:
    """Return the smallest and the largest id that starts with `prefix` (hex digits, dashes ignored)."""
    digits = prefix.replace("-", "").lower()[:32]
    if not all(digit in "0123456789abcdef" for digit in digits):
        return b"(" + b"\xff" * 16, b"(" + b"\xff" * 16
    return b"[" + bytes.fromhex(digits.ljust(32, "0")), b"[" + bytes.fromhex(digits.ljust(32, "f"))
