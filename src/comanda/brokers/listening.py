"""Waiting in one process for what others commit: how its threads share one listener."""

from __future__ import annotations

import math
import select
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Protocol

_LONGEST = 86_400.0
"""Seconds of one poll(): it takes no more than 24 days."""

_WAKE, _LOOK = b"!", b"."


class Source(Protocol):
    """What can be listened to."""

    def fileno(self) -> int:
        """Return its descriptor."""
        ...


class Listening(ABC):
    """All waits of one process for some topics. One thread at a time listens and wakes the others.

    What rings between two waits of a thread for one topic ends the second one at once, so that nothing is missed in
    between; for the same reason the first wait of a thread returns at once.
    """

    def __init__(self, topics: Sequence[str]) -> None:
        self._wake_in, self._wake_out = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._changed = threading.Condition()
        self._rung = dict.fromkeys(topics, 0)
        self._waiting = dict.fromkeys(topics, 0)
        self._listening = False
        self._closed = False
        self._mine = threading.local()

    # -- what a broker adds -------------------------------------------------------------------------------------

    @abstractmethod
    def _hear(self, topic: str, timeout: float) -> Collection[str]:
        """Return the topics that rang, after `timeout` seconds at most; called for `topic`, by one thread at a time."""

    @abstractmethod
    def _let_go(self) -> None:
        """Close what is listened to."""

    # -- waiting ------------------------------------------------------------------------------------------------

    def wait(self, topic: str, timeout: float) -> None:
        """Come back after a ring or a wake, at most after `timeout` seconds."""
        until = time.monotonic() + timeout
        with self._changed:
            self._waiting[topic] += 1
            try:
                if not (self._listening or self._closed):
                    self._listen(topic, 0)  # what has rung already belongs to this wait, not to the next
                while not self._is_over(topic) and (left := until - time.monotonic()) > 0:
                    if self._listening:
                        self._changed.wait(left)
                    else:
                        self._listen(topic, left)
            finally:
                self._waiting[topic] -= 1
            self._mine.__dict__[topic] = self._rung[topic]

    def wake(self) -> None:
        """End the current waits, or the next ones. Safe in a signal handler."""
        self._send(_WAKE)

    def heard(self, topic: str) -> None:
        """Note what this process rings itself. Nobody is woken who waits for something else."""
        with self._changed:
            self._rung[topic] += 1
            if self._waiting[topic]:
                self._changed.notify_all()
                if self._listening:
                    self._send(_LOOK)

    def close(self) -> None:
        """End all waits, and what is listened to."""
        self._closed = True
        self.wake()
        with self._changed:
            self._changed.wait_for(lambda: not self._listening)
            self._let_go()
            self._close_wakes()

    def abandon(self) -> None:
        """After a fork, in the child: what is listened to stays the parent's."""
        self._close_wakes()

    # -- listening ----------------------------------------------------------------------------------------------

    def _is_over(self, topic: str) -> bool:
        return self._closed or self._mine.__dict__.get(topic, -1) != self._rung[topic]

    def _listen(self, topic: str, timeout: float) -> None:
        """Listen for all; the condition is free meanwhile."""
        self._listening = True
        self._changed.release()
        rung: Collection[str] = ()
        try:
            rung = self._hear(topic, timeout)
        finally:
            self._changed.acquire()
            self._listening = False
            for one in rung:
                self._rung[one] += 1
            self._changed.notify_all()

    def _await(self, timeout: float, *sources: Source) -> tuple[bool, set[int]]:
        """Wait for one of the sources or a wake; return whether it was a wake, and the descriptors that are ready."""
        poll = select.poll()  # select() knows no descriptor above 1,023
        for source in (self._wake_in, *sources):
            poll.register(source, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(math.ceil(min(max(0.0, timeout), _LONGEST) * 1_000))}
        return self._wake_in.fileno() in ready and self._woken(), ready

    def _woken(self) -> bool:
        """Empty the socket; return whether a wake() was among it."""
        woken = False
        with suppress(BlockingIOError):
            while True:
                woken |= self._wake_in.recv(16) == _WAKE
        return woken

    def _send(self, what: bytes) -> None:
        with suppress(OSError):
            self._wake_out.send(what)

    def _close_wakes(self) -> None:
        self._wake_in.close()
        self._wake_out.close()
