"""MessageQueue: a named line of plain messages without tasks.

A message is acknowledged after its work: `receive()` after its body, `consume()` when the next one is asked for. Only
`get()` acknowledges before it returns. Until then the message is leased to this process and comes back if it dies.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

from .brokers.records import MESSAGE, Enqueued, JobFilter, JobRecord, NewJob, State
from .clock import to_datetime
from .codec import Codec, ValueCodec
from .errors import QueueEmpty
from .ids import new_ids, to_text
from .loops import forbid_in_loop
from .message_source import Source, Timeout
from .message_worker import MessageWorker
from .options import check_queue
from .retry import Retry

if TYPE_CHECKING:
    from .app import Comanda

T = TypeVar("T")
_WAITING = (State.SCHEDULED, State.READY)


def _first_at_once(attempt: int, _error: object) -> float:
    """Give a message back at once the first time, then after 2, 4, 8 s: a bad one must not spin (R27)."""
    return 0.0 if attempt == 1 else 2.0 ** (attempt - 1)


GIVEN_BACK = Retry(max_attempts=5, delay=_first_at_once)
"""What becomes of a message whose `receive()` body raised: failed, and kept, after the fifth time."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Message(Generic[T]):
    """A message as `put` and `peek` show it."""

    id: str
    value: T
    enqueued_at: datetime
    attempt: int


class MessageQueue(Generic[T]):
    """Messages in the order they were put. `len(queue)` counts those that wait.

    `type`: what the values are, for the codec (default: anything JSON holds; bytes and None pass as they are).
    `codec`: how values become bytes. Each verb has its `a` twin for coroutines.
    """

    def __init__(self, app: Comanda, name: str, *, type: Any = Any, codec: Codec | None = None) -> None:
        self.name = check_queue(name)
        self._app = app
        self._codec = ValueCodec(
            type, codec=codec, payload_limit=app.settings.payload_limit, name=f"message queue {name!r}"
        )
        self.source: Source[T] = Source(app, name, self._codec)
        """Where the verbs that take messages get them."""
        self._filter = JobFilter(queues=(self.name,), tasks=(MESSAGE,), states=_WAITING)

    def __repr__(self) -> str:
        return f"<MessageQueue {self.name}>"

    # -- putting and looking ------------------------------------------------------------------------------------

    def put(self, *messages: T) -> list[Message[T]]:
        """Store messages durably, all or none, in this order; raise InvalidArguments or PayloadTooLarge."""
        forbid_in_loop("put", "aput")
        jobs = self._jobs(messages)
        return self._stored(messages, jobs, self._app.producer.enqueue(jobs)) if jobs else []

    async def aput(self, *messages: T) -> list[Message[T]]:
        """Like `put`."""
        jobs = self._jobs(messages)
        return self._stored(messages, jobs, await self._app.producer.aenqueue(jobs)) if jobs else []

    def _jobs(self, messages: tuple[T, ...]) -> list[NewJob]:
        ids = new_ids(len(messages))
        return [
            NewJob(id=job_id, task=MESSAGE, queue=self.name, payload=self._codec.encode(message))
            for job_id, message in zip(ids, messages, strict=True)
        ]

    def _stored(self, messages: tuple[T, ...], jobs: list[NewJob], answers: list[Enqueued]) -> list[Message[T]]:
        for answer in answers:
            if answer.error is not None:
                raise answer.error
        now = to_datetime(self._app.now())
        return [
            Message(id=to_text(job.id), value=value, enqueued_at=now, attempt=0)
            for job, value in zip(jobs, messages, strict=True)
        ]

    def __len__(self) -> int:
        forbid_in_loop("len", "acount")
        return self._count()

    async def acount(self) -> int:
        """Return how many messages wait."""
        return await self._app.producer.run(self._count)

    def _count(self) -> int:
        counts = self._app.broker.counts()
        return sum(counts.get((self.name, state), 0) for state in _WAITING)

    def peek(self, limit: int = 10) -> list[Message[T]]:
        """Return the oldest waiting messages without taking them."""
        forbid_in_loop("peek", "apeek")
        return self._peek(limit)

    async def apeek(self, limit: int = 10) -> list[Message[T]]:
        """Like `peek`."""
        return await self._app.producer.run(lambda: self._peek(limit))

    def _peek(self, limit: int) -> list[Message[T]]:
        found = self._app.broker.find(self._filter, limit=limit, oldest_first=True)
        return [self._message(record) for record in found]

    def _message(self, record: JobRecord) -> Message[T]:
        return Message(
            id=to_text(record.id),
            value=cast(T, self._codec.decode(record.payload)),
            enqueued_at=to_datetime(record.enqueued_at),
            attempt=record.attempt,
        )

    def clear(self) -> int:
        """Remove all waiting messages; return how many. Those being worked on stay."""
        forbid_in_loop("clear", "aclear")
        return self._app.broker.delete(self._filter)

    async def aclear(self) -> int:
        """Like `clear`."""
        return await self._app.producer.run(lambda: self._app.broker.delete(self._filter))

    # -- taking -------------------------------------------------------------------------------------------------

    def get(self, block: bool = True, timeout: Timeout = None) -> T:
        """Take the next message and acknowledge it before returning: what happens to it then is the caller's affair.

        Waits `timeout` seconds, for ever by default, not at all unless `block`; raises QueueEmpty then.
        """
        forbid_in_loop("get", "aget")
        held = self.source.take(timeout if block else 0)
        held.acknowledge()
        return held.value

    async def aget(self, block: bool = True, timeout: Timeout = None) -> T:
        """Like `get`."""
        held = await self.source.atake(timeout if block else 0)
        await self._app.producer.run(held.acknowledge)
        return held.value

    @contextmanager
    def receive(self, timeout: Timeout = None) -> Iterator[T]:
        """Take the next message for the body of a `with`, and acknowledge it after.

        A body that raises gives the message back: at once the first time, then with growing delays; after five times
        it is failed and kept. Raises QueueEmpty when none came in time.
        """
        forbid_in_loop("receive", "areceive")
        held = self.source.take(timeout)
        try:
            yield held.value
        except Exception as error:
            held.fail(error, GIVEN_BACK)
            raise
        except BaseException:  # Ctrl-C and the like say nothing about the message
            held.give_back()
            raise
        held.acknowledge()

    @asynccontextmanager
    async def areceive(self, timeout: Timeout = None) -> AsyncIterator[T]:
        """Like `receive`."""
        held = await self.source.atake(timeout)
        try:
            yield held.value
        except Exception as error:
            await self._app.producer.run(functools.partial(held.fail, error, GIVEN_BACK))
            raise
        except BaseException:  # a cancelled coroutine says nothing about the message
            await self._app.producer.run(held.give_back)
            raise
        await self._app.producer.run(held.acknowledge)

    def consume(self, timeout: Timeout = None) -> Iterator[T]:
        """Yield messages, each acknowledged when the next one is asked for; end after `timeout` seconds without one.

        `break` and an exception in the loop's body give the current message back at once.
        """
        forbid_in_loop("consume", "aconsume")
        while True:
            try:
                held = self.source.take(timeout)
            except QueueEmpty:
                return
            try:
                yield held.value
            except GeneratorExit:
                held.give_back()
                raise
            held.acknowledge()

    async def aconsume(self, timeout: Timeout = None) -> AsyncGenerator[T, None]:
        """Like `consume`; close it with `contextlib.aclosing` to give the current message back at once on `break`."""
        while True:
            try:
                held = await self.source.atake(timeout)
            except QueueEmpty:
                return
            try:
                yield held.value
            except GeneratorExit:
                await self._app.producer.run(held.give_back)
                raise
            await self._app.producer.run(held.acknowledge)

    @overload
    def worker(self, function: Callable[..., Any], /) -> MessageWorker: ...

    @overload
    def worker(self, *, timeout: Timeout = None) -> Callable[[Callable[..., Any]], MessageWorker]: ...

    def worker(self, function: Callable[..., Any] | None = None, *, timeout: Timeout = None) -> Any:
        """Turn a function or method into a consumer: calling it serves messages for ever.

        An exception marks that message failed (kept, listed, may be retried) and the loop goes on. With `timeout` the
        loop ends after so many seconds without a message. A message that cannot be read is marked failed as well, by
        every verb, and the next one is taken.
        """
        if function is not None:
            return MessageWorker(self, function, None)
        return lambda declared: MessageWorker(self, declared, timeout)
