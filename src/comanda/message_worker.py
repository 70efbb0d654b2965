"""`@queue.worker`: a function that serves a message queue."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import QueueEmpty
from .retry import NEVER

if TYPE_CHECKING:
    from .held_message import Held
    from .message_queue import MessageQueue
    from .message_source import Timeout

_log = logging.getLogger("comanda.messages")


class MessageWorker:
    """Calling it serves messages for ever; further arguments go before the message, as `self` does on a method."""

    def __init__(self, queue: MessageQueue[Any], function: Callable[..., Any], timeout: Timeout) -> None:
        self._queue = queue
        self.function = function
        self._timeout = timeout
        functools.update_wrapper(self, function, updated=())

    def __get__(self, instance: object, _owner: type) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Serve messages; return when `timeout` seconds brought none. Await it when the function is a coroutine."""
        if inspect.iscoroutinefunction(self.function):
            return self._aserve(args, kwargs)
        return self._serve(args, kwargs)

    def _serve(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        while True:
            try:
                held = self._queue.source.take(self._timeout)
            except QueueEmpty:
                return
            try:
                self.function(*args, held.value, **kwargs)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this message's, and the loop goes on (S2-02)
                self._failed(held, error)
            except BaseException:
                held.give_back()
                raise
            else:
                held.acknowledge()

    async def _aserve(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        run = self._queue._app.producer.run
        while True:
            try:
                held = await self._queue.source.atake(self._timeout)
            except QueueEmpty:
                return
            try:
                await self.function(*args, held.value, **kwargs)
            except Exception as error:  # noqa: BLE001 - as above
                await run(functools.partial(self._failed, held, error))
            except BaseException:
                await run(held.give_back)
                raise
            else:
                await run(held.acknowledge)

    def _failed(self, held: Held[Any], error: Exception) -> None:
        held.fail(error, NEVER)
        _log.error("message %s of queue %s failed: %s", held.id, self._queue.name, type(error).__name__, exc_info=error)
