"""One connection to a server: made by redis-py (TLS, sockets, passwords), then spoken on directly.

redis-py takes 10 µs for a command and packs its arguments one by one; hiredis packs and parses a batch of 500 jobs in
C. Nothing here is thread-safe: who uses a connection holds its lock.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import Any

import hiredis
import redis.connection
from redis.exceptions import RedisError

from .replies import ServerError

Argument = bytes | str | int

_BUFFER = 1 << 18
"""Bytes read at once: a reply with 500 jobs comes in few pieces, each of which is a wait for the interpreter's lock."""

_INCOMPLETE = object()


class Connection:
    """A socket and the replies that come from it."""

    def __init__(self, settings: dict[str, Any], until: float) -> None:
        """Connect; raises OSError, TimeoutError, ServerError or RedisError.

        `settings` are redis-py's own, `until` is in seconds of the monotonic clock.
        """
        left = _left(until)
        made = {**settings, "socket_timeout": left, "socket_connect_timeout": left, "protocol": 2, "driver_info": None}
        kind = made.pop("connection_class", redis.connection.Connection)
        self._owner = kind(**made)
        self._owner.connect()
        self._socket: socket.socket = self._owner._sock
        self._reader = hiredis.Reader(replyError=ServerError, notEnoughData=_INCOMPLETE)
        self._buffer = bytearray(_BUFFER)
        self.awaited = 0

    def call(self, until: float, *command: Argument) -> Any:
        """Send a command and return its reply; raises ServerError, OSError or TimeoutError."""
        self.send(until, *command)
        return self.read(until)

    def send(self, until: float, *command: Argument) -> None:
        """Send a command. `awaited` counts those that the server may have got and has not answered."""
        packed = hiredis.pack_command(command)  # type: ignore[arg-type] # its stub says a tuple of one
        self._socket.settimeout(_left(until))
        self.awaited += 1
        self._socket.sendall(packed)

    def read(self, until: float) -> Any:
        """Return the next reply; raises what `call` raises."""
        reply = self._reader.gets()
        while reply is _INCOMPLETE:
            self._socket.settimeout(_left(until))
            size = self._socket.recv_into(self._buffer)
            if not size:
                raise ConnectionResetError("the server closed the connection")
            self._reader.feed(self._buffer, 0, size)  # type: ignore[arg-type] # its stub leaves out bytearray
            reply = self._reader.gets()
        self.awaited -= 1
        if isinstance(reply, ServerError):
            raise reply
        return reply

    def drain(self) -> bool:
        """Read what has come by itself, without waiting; return whether there was anything. Raises OSError."""
        self._socket.setblocking(False)
        came = False
        with contextlib.suppress(BlockingIOError, InterruptedError):
            while True:
                size = self._socket.recv_into(self._buffer)
                if not size:
                    raise ConnectionResetError("the server closed the connection")
                came = True
        return came

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    @property
    def is_idle(self) -> bool:
        """False when something came that nobody asked for: the end of the connection, most likely."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Close it. Never raises."""
        with contextlib.suppress(OSError, RedisError):
            self._owner.disconnect()


def settings_of(url: str) -> dict[str, Any]:
    """Return what redis-py makes of a URL; raises ValueError."""
    return dict(redis.connection.parse_url(url))  # type: ignore[no-untyped-call]


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left
