"""Taking messages: claim one, or wait for the bell and claim again."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from . import outcome
from .codec import UndecodablePayload, ValueCodec
from .errors import QueueEmpty
from .held_message import Held
from .ids import to_text

if TYPE_CHECKING:
    from .app import Comanda

T = TypeVar("T")
Timeout = float | timedelta | None

_log = logging.getLogger("comanda.messages")


class Source(Generic[T]):
    """The messages of one queue, as this process takes them."""

    def __init__(self, app: Comanda, queue: str, codec: ValueCodec) -> None:
        self._app = app
        self._queue = queue
        self._codec = codec

    def take(self, timeout: Timeout) -> Held[T]:
        """Take the next message, waiting up to `timeout` seconds (None: for ever); raise QueueEmpty then."""
        until = _until(timeout)
        arrivals = self._app.runtime.arrivals
        while True:
            heard = arrivals.heard
            held = self._try()
            if held is not None:
                return held
            arrivals.wait(heard, self._left(until))

    async def atake(self, timeout: Timeout) -> Held[T]:
        """The same for coroutines; a message that arrives for a cancelled one goes back."""
        until = _until(timeout)
        arrivals = self._app.runtime.arrivals
        while True:
            heard = arrivals.heard
            held = await self._app.producer.run(self._try, undo=_give_back)
            if held is not None:
                return held
            await arrivals.await_(heard, self._left(until))

    def _left(self, until: float | None) -> float | None:
        if until is None:
            return None
        left = until - time.monotonic()
        if left <= 0:
            raise QueueEmpty(f"message queue {self._queue!r} stayed empty")
        return left

    def _try(self) -> Held[T] | None:
        """Take the next message that can be read; what cannot be read is marked failed."""
        membership = self._app.runtime.membership
        while (found := membership.claim(self._queue)) is not None:
            owner, claimed = found
            began = self._app.now()
            try:
                value = cast(T, self._codec.decode(claimed.payload))
            except UndecodablePayload as error:
                membership.settle(owner, outcome.undecodable(claimed, str(error), began))
                _log.error("message %s was marked failed: %s", to_text(claimed.id), error)
            else:
                return Held(self._app, owner, claimed, value, began)
        return None


def _give_back(held: Held[Any] | None) -> None:
    if held is not None:
        held.give_back()


def _until(timeout: Timeout) -> float | None:
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    return None if seconds is None else time.monotonic() + seconds
