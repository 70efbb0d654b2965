"""Task: a declared function with its options."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, cast
from uuid import UUID

from .brokers.records import NewJob
from .codec import ArgumentCodec, Codec
from .errors import ConfigurationError
from .ids import new_id
from .job import Job
from .loops import forbid_in_loop, running_loop
from .options import OnConflict, Options, check_timeout
from .retry import Retry

if TYPE_CHECKING:
    from .app import Comanda

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Call(Generic[R_co]):
    """A call that is not enqueued yet, for `enqueue_many`; its arguments have been checked and encoded."""

    __slots__ = ("payload", "task")

    def __init__(self, task: Task[..., R_co], payload: bytes) -> None:
        self.task = task
        self.payload = payload


class Task(Generic[P, R]):
    """A function that can be enqueued. Arguments are those of the function, checked by type checkers and at enqueue."""

    def __init__(
        self,
        app: Comanda,
        function: Callable[P, Any],
        *,
        name: str,
        aliases: Sequence[str] = (),
        retry: Retry,
        timeout: float | timedelta | None = None,
        isolate: bool = False,
        transactional: bool = False,
        codec: Codec | None = None,
        payload_limit: int,
        result_limit: int,
        options: Options,
    ) -> None:
        self.app = app
        self.function = function
        self.name = name
        self.aliases = tuple(aliases)
        self.retry = retry
        self.timeout = None if timeout is None else check_timeout(timeout)
        self.isolate = isolate
        self.transactional = transactional
        self.is_async = inspect.iscoroutinefunction(function)
        self.codec = ArgumentCodec(
            function, codec=codec, payload_limit=payload_limit, result_limit=result_limit, name=name
        )
        self.options = options
        # Not the function's __dict__: tenacity, for one, sets `retry` on what it decorates.
        functools.update_wrapper(cast(Callable[..., Any], self), function, updated=())

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    @property
    def queue(self) -> str:
        """The queue its jobs go to unless `using(queue=…)` says otherwise."""
        return self.options.queue

    def using(
        self,
        *,
        run_after: float | timedelta | datetime | None = None,
        priority: int | None = None,
        queue: str | None = None,
        unique_key: str | None = None,
        on_conflict: OnConflict | None = None,
        expires: float | timedelta | None = None,
        retry: Retry | None = None,
        timeout: float | timedelta | None = None,
        id: str | UUID | None = None,
        connection: Any = None,
    ) -> Self:
        """Return a copy with other options; the task itself stays as it is.

        `run_after` and `expires` are seconds or timedeltas from now, `run_after` also an aware datetime; `priority`
        -100 to 100, higher first. `unique_key`: no second unfinished job with this key; `on_conflict` keeps the first
        one and returns it (default) or rejects with DuplicateJob. `id`: enqueueing again with it never makes a second
        job. `retry`: its numbers replace the task's; retry_on, give_up_on and delay stay those of the task.
        `connection`: enqueue inside this open transaction. Raises ConfigurationError for an unfit value.
        """
        changed = object.__new__(type(self))
        changed.__dict__.update(self.__dict__)  # copy.copy takes six times as long
        changed.options = self.options.changed(
            run_after=run_after,
            priority=priority,
            queue=queue,
            unique_key=unique_key,
            on_conflict=on_conflict,
            expires=expires,
            retry=retry,
            timeout=timeout,
            id=id,
            connection=connection,
        )
        return changed

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Store one call and return its job, after the store has made it durable.

        Raises InvalidArguments (with `.field`), PayloadTooLarge, DuplicateJob, NotInTransaction: there is no job.
        BrokerUnavailable, BrokerTimeout: there is no job. EnqueueUncertain: there may be one.
        """
        if running_loop() is not None:
            forbid_in_loop("enqueue", "aenqueue")
        return self.app.send(self, self.new_job(self.codec.encode(args, kwargs)))

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Like `enqueue`, without blocking the event loop."""
        return await self.app.asend(self, self.new_job(self.codec.encode(args, kwargs)))

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Return this call for `enqueue_many`; raises as `enqueue` does for its arguments."""
        return Call(self, self.codec.encode(args, kwargs))

    def new_job(self, payload: bytes, job_id: bytes | None = None) -> NewJob:
        """Return the record of a call with encoded arguments, under this task's options."""
        options = self.options
        return NewJob(
            id=job_id or options.id or new_id(),
            task=self.name,
            queue=options.queue,
            payload=payload,
            priority=options.priority,
            due=options.due,
            delay=options.delay,
            expires=None if options.expires_in is None else self.app.now() + options.expires_in,
            unique_key=options.unique_key,
            options=options.stored,
        )


class SyncTask(Task[P, R]):
    """A task made of a plain function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and now."""
        result: R = self.function(*args, **kwargs)
        return result


class AsyncTask(Task[P, R]):
    """A task made of a coroutine function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Run the coroutine here and now."""
        result: Coroutine[Any, Any, R] = self.function(*args, **kwargs)
        return result


def name_of(function: Callable[..., Any]) -> str:
    """Return `module.qualname`, with the import name for a function of the program's main module.

    Raises ConfigurationError for what a worker could not find again: lambdas, nested functions, partials, instances.
    """
    if not inspect.isfunction(function):
        raise ConfigurationError(
            f"{function!r:.100} is not a function a worker can import: declare a module-level def "
            "(partials, callables and classes have no name to find them by)"
        )
    if "<" in function.__qualname__:
        raise ConfigurationError(
            f"{function.__qualname__} is a nested function or a lambda, which no worker can import: "
            "move it to the module's top level, or give it name=… and register it in every process"
        )
    if "." in function.__qualname__ and next(iter(inspect.signature(function).parameters), "") in ("self", "cls"):
        raise ConfigurationError(
            f"{function.__qualname__} is a method: its instance cannot travel with a job. Declare a function, or a "
            "@staticmethod around @app.task, and pass what it needs as arguments"
        )
    return f"{import_name(function.__module__)}.{function.__qualname__}"


def import_name(module: str) -> str:
    """Return the name under which `__main__` would be imported; other names as they are."""
    if module != "__main__":
        return module
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "__main__"
