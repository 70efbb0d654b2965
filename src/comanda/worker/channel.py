"""JSON lines between the processes of one worker, over a socket pair."""

from __future__ import annotations

import os
import socket
import threading
import weakref

import msgspec

from .messages import Message

_CHUNK = 65_536

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Message).decode


class Channel:
    """One end. Sending is thread-safe; one thread receives."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._sending = threading.Lock()
        self._partial = b""
        self._early: list[Message] = []
        _open.add(self)

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self._end.fileno()

    def send(self, message: Message) -> bool:
        """Send one message; False when the other process is gone."""
        try:
            with self._sending:
                self._end.sendall(_encode(message) + b"\n")
        except OSError:
            return False
        return True

    def receive(self) -> list[Message]:
        """Return the messages that have arrived, waiting for something to arrive; raises EOFError at the end."""
        if self._early:
            early, self._early = self._early, []
            return early
        try:
            chunk = self._end.recv(_CHUNK)
        except OSError:
            chunk = b""
        if not chunk:
            raise EOFError
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        return [_decode(line) for line in lines]

    def first(self) -> Message:
        """Return the first message, however large; those that came with it are received next. Raises EOFError."""
        while not (received := self.receive()):
            continue
        message, *self._early = received
        return message

    def close(self) -> None:
        """Close this end."""
        self._end.close()


_open: weakref.WeakSet[Channel] = weakref.WeakSet()


def _after_fork() -> None:
    """In a forked child: a copy of this end would hide the end of its process from the other side."""
    for channel in list(_open):
        channel.close()


os.register_at_fork(after_in_child=_after_fork)


def pair() -> tuple[Channel, socket.socket]:
    """Return this process's end, and the socket to hand to a child."""
    ours, theirs = socket.socketpair()
    return Channel(ours), theirs


def inherited(descriptor: int) -> Channel:
    """Return the end that this process was started with."""
    end = socket.socket(fileno=descriptor)
    end.set_inheritable(False)
    return Channel(end)
