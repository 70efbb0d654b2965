"""Comanda: tasks, broker URL and policies of one application."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, Unpack, overload
from uuid import UUID

from . import bulk, tasks, transactions
from .brokers.base import Broker
from .brokers.records import Enqueued, JobFilter, NewJob
from .clock import Clock, Micros, SystemClock
from .codec import Codec
from .codec.results import ResultCodec
from .errors import ConfigurationError, DuplicateJob, JobNotFound, NotSupported
from .ids import from_text, to_text
from .job import Job, handle
from .loops import forbid_in_loop
from .message_queue import MessageQueue
from .options import UsingOptions
from .producer import Producer
from .registry import Registry
from .retry import Retry
from .runtime import Runtime
from .settings import load
from .surroundings import Surroundings
from .task import AsyncTask, Call, SyncTask, Task

if TYPE_CHECKING:
    from .worker.handle import EmbeddedWorker

P = ParamSpec("P")
R = TypeVar("R")


class Comanda:
    """The tasks of an application and the store its jobs live in.

    `url` names the store (sqlite:///file, sqlite+apsw:///file, postgresql://…, redis://…, memory://; default:
    COMANDA_URL); nothing is opened before the first use. `modules` lists modules whose plain functions may be enqueued
    without a decorator. Further keywords are the fields of `comanda.settings.Settings`; unknown ones raise
    UnknownOption.
    """

    def __init__(
        self, url: str | None = None, *, modules: Sequence[str] = (), clock: Clock | None = None, **settings: Any
    ) -> None:
        self.settings = load({"url": url, **settings})
        self._clock = clock or SystemClock()
        self.runtime = Runtime(self.settings, clock)
        self.tasks = Registry(modules, self._declare)
        self.surroundings: Surroundings | None = None
        _apps.add(self)

    def __repr__(self) -> str:
        return f"<Comanda {self.settings.namespace} {self.tasks.declared} tasks>"

    # -- declaring ----------------------------------------------------------------------------------------------

    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]

    @overload
    def task(self, function: Callable[P, R], /) -> SyncTask[P, R]: ...

    @overload
    def task(
        self,
        *,
        name: str | None = None,
        aliases: Sequence[str] = (),
        queue: str = "default",
        priority: int = 0,
        retry: Retry | None = None,
        timeout: float | timedelta | None = None,
        isolate: bool = False,
        transactional: bool = False,
        codec: Codec | None = None,
        payload_limit: int | None = None,
        result_limit: int | None = None,
    ) -> tasks.Decorator: ...

    def task(self, function: Callable[..., Any] | None = None, **options: Any) -> Any:
        """Declare a task, as `@app.task` or `@app.task(retry=…, timeout=…, queue=…)`.

        `name`: what is stored with its jobs (default: module.qualname); `aliases`: former names, so that jobs enqueued
        before a rename still run. `retry`: default 5 attempts. `timeout` in seconds or timedelta: none by default.
        `isolate`: each job in a process of its own, killed when it overruns. `transactional`: its writes on
        `current_job().connection` and its completion commit together, where the queue is in the same database.
        `codec`: how arguments and results become bytes (default: JSON by annotations). Raises ConfigurationError for a
        function that no worker could find, an annotation that cannot be encoded, or an option that does not fit;
        NotSupported for one that the store cannot keep.
        """
        if function is not None:
            return self._add(function, options)
        return lambda declared: self._add(declared, options)

    def _add(self, function: Callable[..., Any], options: dict[str, Any]) -> Task[..., Any]:
        task = tasks.make(self, function, **options)
        self.tasks.add(task)
        return task

    def _declare(self, function: Callable[..., Any], name: str) -> Task[..., Any]:
        return tasks.make(self, function, name=name)

    # -- enqueueing ---------------------------------------------------------------------------------------------

    @overload
    def enqueue(
        self, function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...

    @overload
    def enqueue(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...

    def enqueue(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Enqueue a task, or a plain function of a listed module; errors as `Task.enqueue`."""
        return self.task_of(function).enqueue(*args, **kwargs)

    @overload
    async def aenqueue(
        self, function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...

    @overload
    async def aenqueue(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...

    async def aenqueue(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Like `enqueue`."""
        return await self.task_of(function).aenqueue(*args, **kwargs)

    def using(self, **options: Unpack[UsingOptions]) -> tasks.Using:
        """Give options to an undecorated function: `app.using(run_after=60).enqueue(function, …)`."""
        return tasks.Using(self, options)

    def enqueue_many(self, calls: Iterable[Call[R]], *, chunks: bool = False) -> list[Job[R]]:
        """Enqueue many calls, `task.call(…)`, in one transaction; return their jobs in order.

        More than 10,000 jobs or 16 MiB need `chunks=True` and take several transactions. Errors as `Task.enqueue`.
        An unfit call is refused before anything of its transaction is stored. A job that the store refuses
        (DuplicateJob, a queue of messages) leaves the others alone: the first such error is raised after the commit.
        """
        forbid_in_loop("enqueue_many", "aenqueue_many")
        jobs: list[Job[R]] = []
        for batch in bulk.transactions(self, calls, chunks=chunks):
            jobs += bulk.handles(self, batch, self.producer.enqueue([job for _, job in batch]))
        return jobs

    async def aenqueue_many(self, calls: Iterable[Call[R]], *, chunks: bool = False) -> list[Job[R]]:
        """Like `enqueue_many`."""
        jobs: list[Job[R]] = []
        for batch in bulk.transactions(self, calls, chunks=chunks):
            jobs += bulk.handles(self, batch, await self.producer.aenqueue([job for _, job in batch]))
        return jobs

    def task_of(self, function: Callable[..., Any] | Task[..., Any]) -> Task[..., Any]:
        """Return a task as it is, or the task of a plain function of a listed module; else raise ConfigurationError."""
        if not isinstance(function, Task):
            return self.tasks.of(function)
        if function.app is not self:
            raise ConfigurationError(f"task {function.name} belongs to another app: enqueue it there")
        return function

    def send(self, task: Task[..., R], job: NewJob) -> Job[R]:
        """Store one job under its task's options and return its handle."""
        connection = task.options.connection
        if connection is None:
            return self.receipt(task, job, self.runtime.producer.enqueue((job,))[0])
        stored = transactions.enqueue_on(self._ledger(task), connection, job, self.runtime.lookout.expect)
        return self.receipt(task, job, stored)

    async def asend(self, task: Task[..., R], job: NewJob) -> Job[R]:
        """Like `send`."""
        connection = task.options.connection
        if connection is None:
            return self.receipt(task, job, (await self.producer.aenqueue((job,)))[0])
        stored = await transactions.aenqueue_on(self._ledger(task), connection, job, self.runtime.lookout.expect)
        return self.receipt(task, job, stored)

    def _ledger(self, task: Task[..., Any]) -> transactions.Ledger:
        """Return where the caller's transaction writes; raise NotSupported for what cannot be known there."""
        if task.options.on_conflict == "reject" and self.runtime.outbox is not None:
            raise NotSupported(
                "on_conflict='reject' with an outbox: whether the key is held is known only when the job reaches the "
                "broker; leave it out, and the job is dropped there if another one holds its key"
            )
        return self.runtime.ledger

    def receipt(self, task: Task[..., R], job: NewJob, stored: Enqueued) -> Job[R]:
        """Return the handle of what the broker stored; raise its error, or DuplicateJob when the policy rejects."""
        if stored.error is not None:
            raise stored.error
        if stored.id != job.id and job.unique_key is not None and task.options.on_conflict == "reject":
            raise DuplicateJob(job.unique_key, to_text(stored.id))
        return Job(self, stored.id, task.name, created=stored.created)

    # -- jobs ---------------------------------------------------------------------------------------------------

    def get_job(self, job_id: str | UUID) -> Job[Any]:
        """Return a stored job; raise JobNotFound when there is none, ConfigurationError when this is no id."""
        forbid_in_loop("get_job", "aget_job")
        return self._get_job(from_text(job_id))

    async def aget_job(self, job_id: str | UUID) -> Job[Any]:
        """Like `get_job`."""
        wanted = from_text(job_id)
        return await self.producer.run(lambda: self._get_job(wanted))

    def _get_job(self, job_id: bytes) -> Job[Any]:
        record = self.broker.get([job_id], attempts=True)[0]
        if record is None:
            raise JobNotFound(f"there is no job {to_text(job_id)}; it may have been deleted or pruned")
        return handle(self, record)

    def find_jobs(self, which: JobFilter | None = None, *, limit: int = 100) -> list[Job[Any]]:
        """Return stored jobs, newest first."""
        forbid_in_loop("find_jobs", "afind_jobs")
        return self._find_jobs(which or JobFilter(), limit)

    async def afind_jobs(self, which: JobFilter | None = None, *, limit: int = 100) -> list[Job[Any]]:
        """Like `find_jobs`."""
        return await self.producer.run(lambda: self._find_jobs(which or JobFilter(), limit))

    def _find_jobs(self, which: JobFilter, limit: int) -> list[Job[Any]]:
        return [handle(self, record) for record in self.broker.find(which, limit=limit)]

    def decode_result(self, task: str, result: bytes | None) -> Any:
        """Return a stored result, typed by the task's return annotation if this process knows the task."""
        if result is None:
            return None
        known = self.tasks.get(task)
        if known is None:
            return ResultCodec(task, None, self.settings.result_limit).decode(result)
        return known.codec.decode_result(result)

    # -- messages and transactions ------------------------------------------------------------------------------

    @overload
    def message_queue(self, name: str, *, codec: Codec | None = None) -> MessageQueue[Any]: ...

    @overload
    def message_queue(self, name: str, *, type: type[R], codec: Codec | None = None) -> MessageQueue[R]: ...

    def message_queue(self, name: str, *, type: Any = Any, codec: Codec | None = None) -> MessageQueue[Any]:
        """Return the queue of plain messages with this name; `type` and `codec` as for MessageQueue."""
        return MessageQueue(self, name, type=type, codec=codec)

    def transaction(self) -> AbstractContextManager[Any]:
        """Open a write transaction on the store's file: `with app.transaction() as connection:`.

        Yields the driver's connection (sqlite3, apsw or psycopg): execute application SQL on it and enqueue with
        `using(connection=connection)`; all of it commits together. Any other write to the store waits until the body
        has ended; one from inside it raises ConfigurationError. Raises NotSupported on memory://.
        """
        return transactions.transaction(self.broker)

    # -- working ------------------------------------------------------------------------------------------------

    def start_worker(self, path: str | None = None, **options: Any) -> EmbeddedWorker:
        """Run a worker beside this process and end it with it; see `comanda.worker.embedded`."""
        from .worker.embedded import start

        return start(self, path, **options)

    # -- parts --------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The broker's URL."""
        return self.settings.url

    @property
    def namespace(self) -> str:
        """Prefix of the tables in the store."""
        return self.settings.namespace

    def now(self) -> Micros:
        """Return the app's clock in microseconds UTC."""
        return self._clock.now()

    @property
    def broker(self) -> Broker:
        """This process's broker. Raises ConfigurationError when no URL is set or it cannot be understood."""
        return self.runtime.broker

    @property
    def producer(self) -> Producer:
        """This process's write path."""
        return self.runtime.producer

    def close(self) -> None:
        """Let go of threads, connections and files; the next use opens them again."""
        self.runtime.close()

    def _forget(self) -> None:
        self.runtime.forget()
        self.tasks.forget()


_apps: weakref.WeakSet[Comanda] = weakref.WeakSet()


def _forget_all() -> None:
    for app in list(_apps):
        app._forget()


os.register_at_fork(after_in_child=_forget_all)
