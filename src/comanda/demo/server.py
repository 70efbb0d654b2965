"""The HTTP server: on the loopback interface, and gone soon after it was told to stop."""

from __future__ import annotations

import errno
import socket

import uvicorn
from fastapi import FastAPI

from comanda.errors import ConfigurationError

from .events import streams

HOST = "127.0.0.1"

_PORTS_TRIED = 100


class Server(uvicorn.Server):
    """uvicorn, which waits for open connections when it stops: this one ends their streams first (F45)."""

    def __init__(self, api: FastAPI) -> None:
        config = uvicorn.Config(api, lifespan="on", log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        super().__init__(config)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving, then the worker."""
        streams.end()
        await super().shutdown(sockets)


def listen(first: int) -> socket.socket:
    """Return a socket that listens on port `first` or the next free one; 0 takes any.

    Raises ConfigurationError when none can be had.
    """
    for port in range(first, min(first + _PORTS_TRIED, 65_536)):
        # asyncio switches Nagle's algorithm off only for a socket that says it is TCP; else each answer waits 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
            listener.listen()  # from here on a visitor waits instead of being refused
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise ConfigurationError(f"port {port} cannot be used: {error.strerror}; name another one") from None
        else:
            return listener
    raise ConfigurationError(f"no port from {first} to {port} is free; name another one")
