"""The short way for a statement that psycopg has prepared on the caller's connection.

psycopg's cursors are Python, and one takes longer for the enqueue of a job than the server does: 32 transactions at a
time, each with this statement, kept 0.88 of the rate with a plain row this way, and 0.79 with a cursor.

A statement goes through a cursor until psycopg has prepared it, which it does at the sixth time; from then on it is
sent below the cursors, under the name that psycopg has given it. Where psycopg lets go of its names (a rollback,
DISCARD ALL), or is told to prepare nothing (behind a pooler), a cursor it is again. Its list of names is its own
affair: where that is not as it was in psycopg 3.2 and 3.3, all goes through cursors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from typing import Any

from psycopg import AsyncConnection, Connection, generators
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format, PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from ..brokers.statements import Statement

_FITTING = {bytes: {17}, type(None): {0, 17, 25}}
"""What psycopg may have declared a value of each kind as (numbers of pg_type.dat), so that it can be sent as it is."""

_BINARY = (Format.BINARY,)

_Kinds = tuple[type, ...]

_keys: dict[tuple[str, _Kinds], tuple[bytes, tuple[int, ...]]] = {}
"""Under which key psycopg lists a statement with values of these kinds; learnt from its list, once."""

_MOST_KEYS = 1_000


def answer(connection: Connection[Any], statement: Statement) -> tuple[bytes, bool] | None:
    """Run an enqueue that answers (id, created) the short way; None when it has to go through a cursor.

    Raises psycopg.Error as a cursor would.
    """
    with connection.lock:
        if not _send(connection, statement):
            return None
        result = connection.wait(generators.execute(connection.pgconn))[-1]
    return _read(connection, result)


async def aanswer(connection: AsyncConnection[Any], statement: Statement) -> tuple[bytes, bool] | None:
    """The same on an async connection."""
    async with connection.lock:
        if not _send(connection, statement):
            return None
        result = (await connection.wait(generators.execute(connection.pgconn)))[-1]
    return _read(connection, result)


def _send(connection: Connection[Any] | AsyncConnection[Any], statement: Statement) -> bool:
    """Send a statement under its name, or return False where there is none, or nothing may be sent by itself."""
    values = statement.parameters
    pgconn = connection.pgconn
    key = _keys.get((statement.sql, tuple(map(type, values))))
    if (
        key is None
        or pgconn.transaction_status != TransactionStatus.INTRANS
        or pgconn.pipeline_status != PipelineStatus.OFF
    ):
        return False
    name = _names(connection).get(key)
    if name is None:
        return False
    pgconn.send_query_prepared(name, values, _BINARY * len(values), result_format=Format.BINARY)
    return True


def _read(connection: Connection[Any] | AsyncConnection[Any], result: PGresult) -> tuple[bytes, bool]:
    if result.status != ExecStatus.TUPLES_OK:
        raise error_from_result(result, encoding=connection.info.encoding)
    return bytes(result.get_value(0, 0) or b""), result.get_value(0, 1) == b"\x01"


def learn(connection: Connection[Any] | AsyncConnection[Any], statement: Statement, rows: Sequence[Any]) -> None:
    """Look whether psycopg has prepared a statement that went through a cursor, with an answer (id, created)."""
    kinds = tuple(map(type, statement.parameters))
    known = (statement.sql, kinds)
    if known in _keys or len(_keys) >= _MOST_KEYS or not all(kind in _FITTING for kind in kinds):
        return
    if len(rows) != 1 or len(rows[0]) != 2 or not isinstance(rows[0][1], bool):
        return
    names = _names(connection)
    if not names:
        return
    numbers = count(1)
    text = re.sub("%s", lambda _: f"${next(numbers)}", statement.sql).encode()
    for query, types in list(names):
        if query == text and all(type_ in _FITTING[kind] for type_, kind in zip(types, kinds, strict=True)):
            _keys[known] = (query, types)
            return


def _names(connection: Connection[Any] | AsyncConnection[Any]) -> dict[Any, bytes]:
    """Return psycopg's names of the statements it has prepared on a connection; none where they cannot be found."""
    names = getattr(getattr(connection, "_prepared", None), "_names", None)
    return names if isinstance(names, dict) else {}
