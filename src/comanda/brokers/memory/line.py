"""Row ids in the order of a key."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

Key = tuple[int, ...]
_Entry = tuple[Key, int, int]
"""Key, row id and serial number: a row that leaves and comes back with its key is another entry."""

_SLACK = 64
"""Dead entries that are not worth a clean-up."""


class Line:
    """A heap from which anything may be removed: an entry that is no longer its row's current one is dead.

    Adding, removing and finding the first cost O(log n); dead entries never outnumber the living for long (R28).
    """

    __slots__ = ("_entries", "_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._entries: dict[int, _Entry] = {}
        self._serial = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[int]:
        """Walk over the row ids in no order, as they stand now."""
        return iter(list(self._entries))

    def add(self, n: int, key: Key) -> None:
        """Put a row in, or to another place; equal keys stand in the order of `n`."""
        self._serial += 1
        self._entries[n] = entry = (key, n, self._serial)
        heapq.heappush(self._heap, entry)
        self._clean_up()

    def discard(self, n: int) -> None:
        """Take a row out, wherever it stands."""
        self._entries.pop(n, None)
        self._clean_up()

    def first(self) -> tuple[Key, int] | None:
        """Return the key and the id of the first row, None when there is none."""
        while self._heap:
            entry = self._heap[0]
            if self._entries.get(entry[1]) == entry:
                return entry[:2]
            heapq.heappop(self._heap)
        return None

    def below(self, limit: Key, most: int) -> list[int]:
        """Return the first rows whose key is below `limit`, at most `most`, in order."""
        found: list[_Entry] = []
        while len(found) < most and (first := self.first()) is not None and first[0] < limit:
            found.append(heapq.heappop(self._heap))
        for entry in found:
            heapq.heappush(self._heap, entry)
        return [n for _, n, _ in found]

    def keys(self) -> Iterable[Key]:
        """Return the keys in no order."""
        return [key for key, _, _ in self._entries.values()]

    def _clean_up(self) -> None:
        if len(self._heap) > 2 * len(self._entries) + _SLACK:
            self._heap = list(self._entries.values())
            heapq.heapify(self._heap)
