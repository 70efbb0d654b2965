"""Values as PostgreSQL's binary protocol carries them.

A batch travels as one array for each column, packed here: psycopg's own dumper of lists takes about 1 µs an element,
which would be a fifth of the time of a job. Moments are integers on both sides: `timestamptz` is a count of
microseconds since 2000, so nothing is rounded and no datetime is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from struct import Struct, pack

EPOCH = 946_684_800_000_000
"""Microseconds from 1970 to 2000, where PostgreSQL begins to count."""

Value = bytes | None
"""One parameter; None is NULL."""

_BOOL, _BYTEA, _INT8, _INT2, _INT4, _TEXT, _MOMENT, _UUID = 16, 17, 20, 21, 23, 25, 1184, 2950
"""The numbers of the types (pg_type.dat): they never change."""

_NULL = pack(">i", -1)


def bool_(value: bool) -> Value:
    """Return a boolean."""
    return b"\x01" if value else b"\x00"


def int2(value: int) -> Value:
    """Return a smallint."""
    return pack(">h", value)


def int4(value: int | None) -> Value:
    """Return an integer."""
    return None if value is None else pack(">i", value)


def int8(value: int | None) -> Value:
    """Return a bigint."""
    return None if value is None else pack(">q", value)


def text(value: str | None) -> Value:
    """Return a text."""
    return None if value is None else value.encode()


def moment(value: int | None) -> Value:
    """Return a timestamptz of microseconds since 1970."""
    return None if value is None else pack(">q", value - EPOCH)


def bools(values: Sequence[bool]) -> Value:
    """Return a boolean[]."""
    return _fixed(_BOOL, 1, "?", values)


def int2s(values: Sequence[int]) -> Value:
    """Return a smallint[]."""
    return _fixed(_INT2, 2, "h", values)


def int4s(values: Sequence[int | None]) -> Value:
    """Return an integer[]."""
    if None in values:
        return _varying(_INT4, [int4(value) for value in values])
    return _fixed(_INT4, 4, "i", values)


def int8s(values: Sequence[int | None]) -> Value:
    """Return a bigint[]."""
    if None in values:
        return _varying(_INT8, [int8(value) for value in values])
    return _fixed(_INT8, 8, "q", values)


def moments(values: Sequence[int | None]) -> Value:
    """Return a timestamptz[] of microseconds since 1970."""
    if None in values:
        return _varying(_MOMENT, [moment(value) for value in values])
    return _fixed(_MOMENT, 8, "q", [value - EPOCH for value in values])  # type: ignore[operator] # no None is in it


def uuids(values: Sequence[bytes]) -> Value:
    """Return a uuid[] of ids of 16 bytes."""
    length = pack(">i", 16)
    return _head(_UUID, len(values)) + (length + length.join(values) if values else b"")


def byteas(values: Sequence[bytes | None]) -> Value:
    """Return a bytea[]."""
    return _varying(_BYTEA, values)


def texts(values: Sequence[str | None]) -> Value:
    """Return a text[]."""
    return _varying(_TEXT, [None if value is None else value.encode() for value in values])


def unpack_int8s(blob: bytes) -> list[int]:
    """Return the numbers whose 8 bytes each stand behind each other (string_agg of int8send)."""
    return [number for (number,) in _ONE.iter_unpack(blob)]


_ONE = Struct(">q")


def _head(oid: int, count: int, *, has_null: bool = False) -> bytes:
    """Return the head of an array of one dimension, or of an empty one."""
    return pack(">iiiii", 1, has_null, oid, count, 1) if count else pack(">iii", 0, 0, oid)


@lru_cache(maxsize=1024)
def _packer(code: str, count: int) -> Callable[..., bytes]:
    return Struct(">" + f"i{code}" * count).pack


def _fixed(oid: int, size: int, code: str, values: Sequence[object]) -> bytes:
    """Pack values of one size, each behind its length."""
    flat: list[object] = [size] * (2 * len(values))
    flat[1::2] = values
    return _head(oid, len(values)) + _packer(code, len(values))(*flat)


def _varying(oid: int, values: Sequence[bytes | None]) -> bytes:
    parts: list[bytes] = []
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            parts += (pack(">i", len(value)), value)
    return _head(oid, len(values), has_null=None in values) + b"".join(parts)
