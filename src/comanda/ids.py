"""Public job ids: UUIDv7 (RFC 9562 section 5.7), from one `os.urandom` a batch.

Time-ordered ids keep inserts at the right edge of the index: random ones halve the SQLite loop (172k against 78k
jobs/s, design section 6). Inside they are 16 bytes, outside the usual 36 characters.
"""

from __future__ import annotations

import os
import threading
import time
from uuid import UUID

from .errors import ConfigurationError

_lock = threading.Lock()
_last = 0
"""Millisecond and counter (12 bits) of the newest id of this process."""

_SUPPLY = 1024
_noise = b""
"""Random bytes not used yet."""


def new_ids(count: int) -> list[bytes]:
    """Return `count` UUIDv7 in ascending order, above every earlier one of this process.

    The 12 bits after the version count up inside a millisecond (RFC 9562 section 6.2, method 1) and carry over into the
    next; the 62 bits behind stay random.
    """
    first, noise = _reserve(count)
    made = []
    for index in range(count):
        stamp, counter = divmod(first + index, 0x1000)
        random = int.from_bytes(noise[8 * index : 8 * index + 8], "big") >> 2
        made.append((stamp << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | random).to_bytes(16, "big"))
    return made


def new_id() -> bytes:
    """Return the next UUIDv7: `new_ids(1)` without its loop and its calls; each enqueue makes one."""
    global _last, _noise  # noqa: PLW0603 - the order of ids is a fact about the process
    with _lock:
        first = time.time_ns() // 1_000_000 << 12
        if first <= _last:
            first = _last + 1
        _last = first
        if len(_noise) < 8:
            _noise = os.urandom(_SUPPLY)
        noise, _noise = _noise[:8], _noise[8:]
    head = first >> 12 << 16 | 0x7000 | first & 0xFFF
    return (head << 64 | 0b10 << 62 | int.from_bytes(noise, "big") >> 2).to_bytes(16, "big")


def _reserve(count: int) -> tuple[int, bytes]:
    """Return the first of `count` consecutive heads and the noise behind them, which nobody else gets.

    The noise comes from a supply: each `os.urandom` lets go of the interpreter, and among eight threads that enqueue
    one by one it then goes to another one.
    """
    global _last, _noise  # noqa: PLW0603 - the order of ids is a fact about the process
    size = 8 * count
    with _lock:
        first = max(time.time_ns() // 1_000_000 << 12, _last + 1)
        _last = first + count - 1
        if len(_noise) < size:
            _noise = os.urandom(max(_SUPPLY, size))
        taken, _noise = _noise[:size], _noise[size:]
    return first, taken


def _forget() -> None:
    """After a fork, in the child: a thread that held the lock is not here, and the parent will use the noise."""
    global _lock, _noise  # noqa: PLW0603 - as above
    _lock = threading.Lock()
    _noise = b""


os.register_at_fork(after_in_child=_forget)


def to_text(job_id: bytes) -> str:
    """Return the 36 characters of an id."""
    digits = job_id.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def from_text(job_id: str | UUID) -> bytes:
    """Return the 16 bytes of an id; raise ConfigurationError when it is none."""
    try:
        return (job_id if isinstance(job_id, UUID) else UUID(job_id)).bytes
    except (ValueError, AttributeError, TypeError):
        raise ConfigurationError(f"{job_id!r} is not a job id (36 characters such as {to_text(bytes(16))})") from None
