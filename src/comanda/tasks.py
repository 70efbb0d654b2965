"""Making tasks out of functions, and options for undecorated ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from .codec import Codec, check_codec
from .errors import ConfigurationError, NotSupported, UnknownOption
from .job import Job
from .options import JobOptions, Options, UsingOptions, check_priority, check_queue, check_retry
from .options import encode as encode_options
from .retry import DEFAULT, Retry
from .task import AsyncTask, SyncTask, Task, name_of
from .transactions import check_completion

if TYPE_CHECKING:
    from .app import Comanda

P = ParamSpec("P")
R = TypeVar("R")


class Decorator(Protocol):
    """What `@app.task(…)` is: keeps the function's arguments and its result's type."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, function: Callable[P, R], /) -> SyncTask[P, R]: ...


def make(app: Comanda, function: Callable[..., Any], **options: Any) -> Task[..., Any]:
    """Return the task of a function; errors as `Comanda.task`."""
    _refuse_unknown("@app.task", options, inspect.getfullargspec(_make).kwonlyargs)
    return _make(app, function, **options)


def _make(
    app: Comanda,
    function: Callable[..., Any],
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
) -> Task[..., Any]:
    if codec is not None:
        check_codec(codec)
    stored = JobOptions(content_type=None if codec is None else codec.content_type)
    kind = AsyncTask if inspect.iscoroutinefunction(function) else SyncTask
    task: Task[..., Any] = kind(
        app,
        function,
        name=_check_name(name) if name is not None else name_of(function),
        aliases=_check_aliases(aliases),
        retry=DEFAULT if retry is None else check_retry(retry),
        timeout=timeout,
        isolate=isolate,
        transactional=transactional,
        codec=codec,
        payload_limit=_check_limit("payload_limit", payload_limit, app.settings.payload_limit),
        result_limit=_check_limit("result_limit", result_limit, app.settings.result_limit),
        options=Options(queue=check_queue(queue), priority=check_priority(priority), stored=encode_options(stored)),
    )
    if transactional:
        _check_transactional(app, task)
    return task


def _check_transactional(app: Comanda, task: Task[..., Any]) -> None:
    """Refuse what cannot be done, here if the store is known already; else the worker does it when it starts."""
    if task.isolate:
        raise NotSupported(
            f"{task.name}: transactional=True and isolate=True exclude each other: the process of an isolated job "
            "is not the worker that holds its lease, so it cannot complete it. Leave one of them out"
        )
    if app.url:
        check_completion(app.broker, task)


def _check_name(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
        raise ConfigurationError(f"a task's name is 1 to 200 printable characters, got {name!r:.220}")
    return name


def _check_aliases(aliases: Any) -> list[str]:
    if isinstance(aliases, str):
        raise ConfigurationError(f"aliases takes a list of names, got one text: aliases=[{aliases!r:.220}]")
    return [_check_name(alias) for alias in aliases]


def _check_limit(option: str, limit: Any, default: int) -> int:
    if limit is None:
        return default
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ConfigurationError(f"{option} is a whole number of bytes from 1, got {limit!r}")
    return limit


def _refuse_unknown(where: str, given: Iterable[str], known: Sequence[str]) -> None:
    for option in given:
        if option not in known:
            close = get_close_matches(option, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"
            raise UnknownOption(f"{where} has no option {option!r}{hint}")


class Using:
    """`app.using(…)`: options for a function without decorator."""

    def __init__(self, app: Comanda, options: UsingOptions) -> None:
        _refuse_unknown("using", options, tuple(UsingOptions.__annotations__))
        self._app = app
        self._options = options

    @overload
    def enqueue(
        self, function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...

    @overload
    def enqueue(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...

    def enqueue(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Enqueue the function under these options; errors as `Task.enqueue`."""
        return self._app.task_of(function).using(**self._options).enqueue(*args, **kwargs)

    @overload
    async def aenqueue(
        self, function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Job[R]: ...

    @overload
    async def aenqueue(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]: ...

    async def aenqueue(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job[Any]:
        """Like `enqueue`."""
        return await self._app.task_of(function).using(**self._options).aenqueue(*args, **kwargs)
