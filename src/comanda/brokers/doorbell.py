"""Wake-ups between processes of one host: datagram sockets in the store's runtime directory.

A send and a receive cost 2.4 µs together and an idle bell nothing (speed guide section 8). Every ring may be lost;
the poll behind it bounds the delay (WK1).

Who rings remembers for a moment which bells there are. A new bell lets that moment pass, so that its owner's next look
finds all that was committed before everybody knew the bell.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST = 100
_DESCRIPTORS = Path("/proc/self/fd")

FRESH = 0.001
"""Seconds for which a look at the directory holds. One for each job cost 8 of the 210 µs of a durable enqueue."""

_UNSURE = 0.05
"""Seconds after a change of the directory during which its time stamp cannot prove that nothing else has changed."""


class Bell:
    """The socket on which this process hears of one topic."""

    def __init__(self, directory: Path, topic: str) -> None:
        self._path = directory / f"{topic}-{os.getpid()}-{secrets.token_hex(4)}.bell"
        self._socket = _bind(self._path)
        time.sleep(FRESH)

    @property
    def rings(self) -> bool:
        """False where no socket could be bound, so that the waiter must poll."""
        return self._socket is not None

    def fileno(self) -> int:
        """Return the descriptor on which a ring arrives; -1 where there is none."""
        return -1 if self._socket is None else self._socket.fileno()

    def rang(self) -> bool:
        """Return whether it has rung since the last question."""
        rang = False
        if self._socket is not None:
            with contextlib.suppress(BlockingIOError):
                while True:
                    rang |= bool(self._socket.recv(16))
        return rang

    def close(self) -> None:
        """Remove the socket."""
        self.abandon()
        self._path.unlink(missing_ok=True)

    def abandon(self) -> None:
        """After a fork, in the child: let go of the inherited descriptor; the socket stays the parent's."""
        if self._socket is not None:
            self._socket.close()


class Ringer:
    """Rings all bells of a topic in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._name = str(directory)
        self._socket: socket.socket | None = None
        self._listed: tuple[int, dict[str, list[str]]] | None = None
        self._fresh: dict[str, list[str]] = {}
        self._fresh_until = 0.0

    def ring(self, topic: str) -> None:
        """Ring every bell of `topic`; a full bell is awake already, a dead one is removed."""
        now = time.monotonic()
        if now >= self._fresh_until:
            self._fresh, self._fresh_until = self._bells(), now + FRESH
        for name in self._fresh.get(topic, ()):
            try:
                with _address(name) as address:
                    self._sender().sendto(b"!", address)
            except BlockingIOError:
                continue
            except (ConnectionRefusedError, FileNotFoundError):
                Path(name).unlink(missing_ok=True)
                self._listed, self._fresh_until = None, 0.0
            except OSError:
                continue

    def close(self) -> None:
        """Close the sending socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _sender(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        return self._socket

    def _bells(self) -> dict[str, list[str]]:
        """Return the paths of the bells by topic, listed anew when the directory has changed."""
        # Without a worker the directory is mostly not there, and an error costs more than a question.
        if self._listed is None and not os.access(self._name, os.F_OK):
            return {}
        try:
            changed = os.stat(self._name).st_mtime_ns  # noqa: PTH116 - a Path would cost a third more
        except FileNotFoundError:
            self._listed = None
            return {}
        if self._listed is None or self._listed[0] != changed:
            bells: dict[str, list[str]] = {}
            for path in self._directory.glob("*.bell"):
                bells.setdefault(path.name.partition("-")[0], []).append(str(path))
            if time.time_ns() - changed < _UNSURE * 1e9:
                return bells
            self._listed = (changed, bells)
        return self._listed[1]


def make_private(directory: Path) -> Path:
    """Create a runtime directory that only its owner may enter; return it."""
    directory.mkdir(mode=0o700, exist_ok=True)
    if stat.S_IMODE(directory.stat().st_mode) & 0o022:
        directory.chmod(0o700)
    return directory


def _bind(path: Path) -> socket.socket | None:
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        with _address(str(path)) as address:
            bell.bind(address)
    except OSError:  # a file system without sockets: the waiter polls
        bell.close()
        return None
    bell.setblocking(False)
    return bell


@contextmanager
def _address(path: str) -> Iterator[str]:
    """Yield a name for a socket that fits into its address (108 bytes on Linux, 104 on macOS).

    A longer one is taken relative to the working directory, or on Linux to an open descriptor of its directory.
    """
    relative = os.path.relpath(path) if len(os.fsencode(path)) > _LONGEST else path
    if len(os.fsencode(relative)) <= _LONGEST or not _DESCRIPTORS.is_dir():
        yield relative
        return
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)  # noqa: PTH120 - a hot path of strings
    try:
        yield f"{_DESCRIPTORS}/{directory}/{os.path.basename(path)}"  # noqa: PTH119
    finally:
        os.close(directory)
