"""Exceptions raised inside a thread from outside, and never at the wrong moment (design section 7)."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

from ..shield import carry
from .attempt import Attempt, Interrupt


class Interruptible:
    """Runs calls on the thread it was made in, so that other threads can interrupt the call under way.

    An asynchronous exception is raised at some later instruction of the thread. So that it cannot hit the next call or
    the loop around it, the sender holds `_edge` while it looks and sends, the thread takes it at the end of each call,
    and what was sent but not raised by then is taken back. One call is interrupted at most once: two layers of `except`
    around the edge are therefore enough. While the thread's shield is up, the interrupt waits until it goes down.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._edge = threading.Lock()
        self._attempt: Attempt | None = None
        self._shields = 0
        self._held_back: Interrupt | None = None
        carry(self)

    def interrupt(self, attempt: Attempt, kind: Interrupt) -> bool:
        """Raise `kind` inside the call of `attempt`; False when it has ended or was interrupted before."""
        with self._edge:
            if self._attempt is not attempt or attempt.interrupted is not None:
                return False
            attempt.interrupted = kind
            if self._shields:
                self._held_back = kind
            else:
                _raise_in(self._thread, kind)
            return True

    def kill(self, attempt: Attempt) -> bool:
        """Threads cannot be ended by force."""
        return False

    def __enter__(self) -> None:
        """Put the shield up; shields may be nested."""
        with self._edge:
            self._shields += 1

    def __exit__(self, *_: object) -> None:
        """Take the shield down; raise what came meanwhile."""
        with self._edge:
            self._shields -= 1
            due = None if self._shields else self._held_back
            if due is not None:
                self._held_back = None
        if due is not None:
            raise due

    def call(self, attempt: Attempt, body: Callable[[Attempt], Any]) -> tuple[Any, BaseException | None]:
        """Return what `body(attempt)` returned, or the exception it raised, of whatever kind (R26)."""
        try:
            return self._call(attempt, body)
        except BaseException as error:  # noqa: BLE001 - the interrupt, raised between the call and its edge
            self._leave(attempt)
            return None, error

    def _call(self, attempt: Attempt, body: Callable[[Attempt], Any]) -> tuple[Any, BaseException | None]:
        value, failure = None, None
        # An interrupt that was raised as the shield went up left it there.
        self._shields, self._held_back = 0, None
        try:
            self._attempt = attempt
            value = Context().run(body, attempt)
        except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt are a task's failure too
            failure = error
        self._leave(attempt)
        return value, failure

    def _leave(self, attempt: Attempt) -> None:
        with self._edge:
            self._attempt = None
        if attempt.interrupted is not None:
            _raise_in(self._thread, None)


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Have `kind` raised in a thread at its next instruction; None takes back what was not raised yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None if kind is None else ctypes.py_object(kind))
