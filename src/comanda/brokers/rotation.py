"""Whose turn it is among a worker's queues (guarantee 8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from .records import Claimed

Queue = TypeVar("Queue")


class Rotation:
    """The turns of one process. Not thread-safe: a broker calls it inside its claim."""

    def __init__(self) -> None:
        self._turn = 0

    def take(
        self, queues: Sequence[Queue], limit: int, take_from: Callable[[Queue, int], list[Claimed]], *, strict: bool
    ) -> list[Claimed]:
        """Return up to `limit` jobs of `queues`, gathered with `take_from(queue, wanted)`.

        `strict`: each queue is emptied before the next is looked at. Otherwise each has the same share of the limit,
        another one comes first each time, and what some leave is offered to those that had more.
        """
        if strict or len(queues) < 2:
            return _offer(queues, limit, limit, take_from)[0]
        self._turn = (self._turn + 1) % len(queues)
        order = [*queues[self._turn :], *queues[: self._turn]]
        share = -(-limit // len(order))
        taken, fuller = _offer(order, limit, share, take_from)
        return taken + _offer(fuller, limit - len(taken), limit, take_from)[0]

    def pass_by(self, queues: int, *, strict: bool) -> None:
        """Let the turn go on past so many queues that a broker knows to be empty but for one."""
        if not strict and queues > 1:
            self._turn = (self._turn + 1) % queues


def _offer(
    queues: Sequence[Queue], limit: int, share: int, take_from: Callable[[Queue, int], list[Claimed]]
) -> tuple[list[Claimed], list[Queue]]:
    """Offer each queue its share until the limit is reached; also return the queues that took all of it."""
    taken: list[Claimed] = []
    fuller: list[Queue] = []
    for queue in queues:
        wanted = min(share, limit - len(taken))
        if wanted <= 0:
            break
        got = take_from(queue, wanted)
        taken += got
        if len(got) == wanted:
            fuller.append(queue)
    return taken, fuller
