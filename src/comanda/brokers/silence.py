"""Who has fallen silent, where the store has no clock of its own (guarantee 9, R45)."""

from __future__ import annotations

from collections.abc import Mapping


class Silence:
    """What one rescuer has seen of the others' heartbeat counters, on its own monotonic clock.

    A stepped wall clock neither kills nor immortalises anybody: a counter that moves proves life, and one that stands
    still is measured by the rescuer alone.
    """

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, float]] = {}

    def judge(self, beats: Mapping[int, int], began: float, ended: float, lease: float) -> list[tuple[int, int]]:
        """Return owner and beat of those whose beat has stood still for `lease` seconds.

        `began` and `ended` are when the look at the beats began and ended, in seconds of the monotonic clock: what is
        new counts from the end, what is old up to the beginning, so that a rescuer that was stopped in the middle of
        its look buries nobody early.
        """
        seen = self._seen
        self._seen = {
            owner: seen[owner] if owner in seen and seen[owner][0] == beat else (beat, ended)
            for owner, beat in beats.items()
        }
        return [(owner, beat) for owner, (beat, since) in self._seen.items() if began - since >= lease]
