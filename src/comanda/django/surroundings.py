"""What happens around each job in a worker that Django does by itself around each request (F22-F24, F28, F29)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.cache import close_caches
from django.db import connections

from ..shield import shield
from ..task import Task
from ..worker.spawning import inside_worker

_log = logging.getLogger("comanda.django")


class DjangoSurroundings:
    """Connections that are fit for use before a job, and nothing of it left behind after it.

    Only connections that this thread has made already are looked at. Nothing is opened.
    """

    @contextmanager
    def around(self, task: Task[..., Any]) -> Iterator[None]:
        """Surround a synchronous task, in its thread."""
        with shield():  # a time limit that strikes in here would leave a connection half-way
            spared = _spared()
            _begin(spared)
        try:
            yield
        finally:
            with shield():
                _end(task.name, spared)

    @asynccontextmanager
    async def aaround(self, task: Task[..., Any]) -> AsyncIterator[None]:
        """Surround a coroutine: its ORM calls share one thread, which ends with it, and its connections do so too."""
        async with ThreadSensitiveContext():
            try:
                yield
            finally:
                await sync_to_async(_end_thread, thread_sensitive=True)(task.name)

    def idle(self) -> None:
        """Close what has no age: jobs in a row share such a connection, a thread that waits for a job holds none."""
        _close_ageless()


def _close_ageless() -> None:
    """Close the connections that Django would close after each request (CONN_MAX_AGE 0)."""
    for wrapper in _initialised():
        if wrapper.settings_dict["CONN_MAX_AGE"] == 0:
            wrapper.close()


def _spared() -> frozenset[str]:
    """Return the aliases that are in a block already: a test's, whose own they are. In a worker there is no such."""
    if inside_worker():
        return frozenset()
    return frozenset(wrapper.alias for wrapper in _initialised() if wrapper.in_atomic_block)


def _begin(spared: frozenset[str]) -> None:
    for wrapper in _initialised():
        if wrapper.alias not in spared:
            _tidy(wrapper)
            if inside_worker():  # a test counts its queries across the jobs that it runs
                wrapper.queries_log.clear()


def _end(task: str, spared: frozenset[str]) -> None:
    for wrapper in _initialised():
        if wrapper.alias not in spared:
            if _is_left_open(wrapper):
                _log.warning("%s left a transaction open on the database %r: it was rolled back", task, wrapper.alias)
            _tidy(wrapper)
    # Language, time zone and URLconf are context variables, and each job has a context of its own: they end with it.
    close_caches()


def _end_thread(task: str) -> None:
    """End the thread of a coroutine's ORM calls: no later job comes here, so no connection is worth keeping (F26)."""
    _end(task, frozenset())
    for wrapper in _initialised():
        wrapper.close()


def _tidy(wrapper: Any) -> None:
    """Close a connection that is broken or past its age, as Django does between requests; roll a left one back."""
    if _is_left_open(wrapper):
        _roll_back(wrapper)
        return
    if wrapper.settings_dict["CONN_MAX_AGE"] == 0:
        wrapper.close_at = None  # connecting anew for each of a thousand jobs in a row helps nobody: see idle()
    wrapper.close_if_unusable_or_obsolete()


def _is_left_open(wrapper: Any) -> bool:
    """Return whether a task went away without ending its transaction."""
    if wrapper.in_atomic_block:
        return True
    return wrapper.connection is not None and wrapper.autocommit != wrapper.settings_dict["AUTOCOMMIT"]


def _roll_back(wrapper: Any) -> None:
    """Roll back and close. A wrapper that was closed inside a block refuses all further use, so it is dropped."""
    with suppress(Exception):  # whatever the driver says to it: the connection is closed next
        wrapper.connection.rollback()
    with suppress(Exception):
        wrapper.close()
    del connections[wrapper.alias]


def _initialised() -> list[Any]:
    return list(connections.all(initialized_only=True))
