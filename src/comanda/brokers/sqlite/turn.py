"""Taking turns at a connection: one thread at a time, and the library's errors in comanda's words."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from ...errors import BrokerTimeout
from .connection import code_of
from .side import Side

if TYPE_CHECKING:
    from .store import Store


class Turn:
    """A thread's turn on one side. A class, since generators in place of it cost an enqueue 3 of its 45 µs."""

    __slots__ = ("_side", "_store")

    def __init__(self, store: Store, side: Side) -> None:
        self._store = store
        self._side = side

    def __enter__(self) -> None:
        store = self._store
        if not self._side.lock.acquire(timeout=store.deadline):
            raise BrokerTimeout(
                f"the database {store.path} was in use by another thread of this process for {store.deadline:g} s; "
                "nothing was written. Keep the body of transaction() short"
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, Exception) and (code_of(error) is not None or isinstance(error, OSError)):
                raise self._store.translated(error, self._side) from error
        finally:
            self._side.committing = False
            self._side.lock.release()
