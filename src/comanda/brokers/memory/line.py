"""Row ids in the order of a key."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

Key = tuple[int, ...]

_SLACK = 64
"""Dead entries that are not worth a clean-up."""


class Line:
    """A heap from which anything may be removed: an entry whose key is no longer the current one is dead.

    Adding, removing and taking the first cost O(log n); dead entries never outnumber the living for long (R28).
    """

    __slots__ = ("_heap", "_keys")

    def __init__(self) -> None:
        self._heap: list[tuple[Key, int]] = []
        self._keys: dict[int, Key] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[int]:
        """Walk over the row ids in no order, as they stand now."""
        return iter(list(self._keys))

    def add(self, n: int, key: Key) -> None:
        """Put a row in; equal keys stand in the order of `n`."""
        self._keys[n] = key
        heapq.heappush(self._heap, (key, n))

    def discard(self, n: int) -> None:
        """Take a row out, wherever it stands."""
        self._keys.pop(n, None)
        if len(self._heap) > 2 * len(self._keys) + _SLACK:
            self._heap = [(key, n) for n, key in self._keys.items()]
            heapq.heapify(self._heap)

    def first(self) -> tuple[Key, int] | None:
        """Return the first row and its key, None when there is none."""
        while self._heap:
            key, n = self._heap[0]
            if self._keys.get(n) == key:
                return key, n
            heapq.heappop(self._heap)
        return None

    def below(self, limit: Key, most: int) -> list[int]:
        """Return the first rows whose key is below `limit`, at most `most`, in order."""
        found: list[tuple[Key, int]] = []
        while len(found) < most and (first := self.first()) is not None and first[0] < limit:
            found.append(heapq.heappop(self._heap))
        for entry in found:
            heapq.heappush(self._heap, entry)
        return [n for _, n in found]

    def keys(self) -> Iterable[Key]:
        """Return the keys in no order."""
        return self._keys.values()
