"""One connection: statements in, rows out, each with a deadline.

It runs on psycopg's own layer below cursors (`psycopg.pq`), which saves about 100 µs a statement, and lets a wait for
an answer end when its time is over, also when the server is frozen or the network swallows everything.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.abc import AdaptContext
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.errors import error_from_result
from psycopg.types.numeric import Int8BinaryLoader
from psycopg.types.string import ByteaBinaryLoader

from .wire import Value

Row = tuple[Any, ...]

_GOOD = {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY}

SERVER_SHARE = 0.8
"""The part of a deadline after which the server itself gives up: then it is sure that nothing was written."""

# A plan that is kept must not depend on what the tables looked like when it was made: 200,000 jobs loaded at once and
# never analysed would be sorted for every claim. So every plan follows indexes, and the same one is used for ever.
_PLANNER = """
SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off;
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off;
SET jit = off; SET max_parallel_workers_per_gather = 0;
"""
FREE_PLANNER = """
SET LOCAL plan_cache_mode = auto; SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on;
SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on; SET LOCAL enable_material = on;
"""
"""For searches, whose best plan depends on what is asked."""


class NoAnswer(Exception):
    """The deadline passed before the server answered."""


class _Context:
    """How values become Python's: moments and ids as they travel."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.adapters = AdaptersMap(psycopg.adapters)
        self.adapters.register_loader("timestamptz", Int8BinaryLoader)
        self.adapters.register_loader("uuid", ByteaBinaryLoader)


class Connection:
    """A connection in autocommit mode. `deadline` in seconds bounds each answer.

    `is_pooled`: a pooler such as PgBouncer stands between, so that nothing outlives a transaction: no prepared
    statements, no settings, no LISTEN.
    """

    def __init__(self, conninfo: str, deadline: float) -> None:
        """Connect; raises psycopg.OperationalError or NoAnswer."""
        self.deadline = deadline
        self.raw = psycopg.connect(
            conninfo,
            autocommit=True,
            prepare_threshold=None,
            connect_timeout=max(1, math.ceil(deadline)),
            client_encoding="utf8",
            keepalives_idle=max(1, math.ceil(deadline)),
            keepalives_interval=1,
            keepalives_count=3,
            tcp_user_timeout=int(deadline * 1000),
            fallback_application_name="comanda",
        )
        self._pgconn = self.raw.pgconn
        context: AdaptContext = _Context(self.raw)
        self._rows = Transformer(context)
        self._prepared: dict[str, bytes] = {}
        self._poll = select.poll()
        self.is_pooled = False
        try:
            self._configure()
        except BaseException:
            self.close()
            raise

    def _configure(self) -> None:
        ((backend,),) = self.run("SELECT pg_backend_pid()")
        self.is_pooled = backend != self.raw.info.backend_pid
        if not self.is_pooled:
            limit = int(self.deadline * SERVER_SHARE * 1000)
            self.script(
                f"SET statement_timeout = {limit}; SET idle_in_transaction_session_timeout = {limit};{_PLANNER}"
            )

    @property
    def backend_pid(self) -> int:
        """The server's number for this connection."""
        return self.raw.info.backend_pid

    def run(self, text: str, parameters: Sequence[Value] = (), *, keep: bool = False) -> list[Row]:
        """Run one statement with `$1` placeholders; return its rows. `keep`: prepared, where that outlives it."""
        if keep and not self.is_pooled:
            self._pgconn.send_query_prepared(
                self._prepare(text), parameters, [pq.Format.BINARY] * len(parameters), result_format=pq.Format.BINARY
            )
        else:
            self._pgconn.send_query_params(
                text.encode(), parameters, None, [pq.Format.BINARY] * len(parameters), result_format=pq.Format.BINARY
            )
        result = self._fetch()[-1]
        if result.status == pq.ExecStatus.COMMAND_OK:
            return []
        self._rows.set_pgresult(result)
        return self._rows.load_rows(0, result.ntuples, tuple)

    def script(self, text: str) -> None:
        """Run several statements without parameters in one round trip."""
        self._pgconn.send_query(text.encode())
        self._fetch()

    def close(self) -> None:
        """Close the connection."""
        self.raw.close()

    def _prepare(self, text: str) -> bytes:
        name = self._prepared.get(text)
        if name is None:
            name = f"comanda_{len(self._prepared)}".encode()
            self._pgconn.send_prepare(name, text.encode())
            self._fetch()
            self._prepared[text] = name
        return name

    def _fetch(self) -> list[pq.abc.PGresult]:
        """Wait for the answer to what was sent; raise what the server says, or NoAnswer."""
        pgconn = self._pgconn
        until = time.monotonic() + self.deadline
        while pgconn.flush():
            self._wait(select.POLLIN | select.POLLOUT, until)
            pgconn.consume_input()
        results: list[pq.abc.PGresult] = []
        while True:
            while pgconn.is_busy():
                self._wait(select.POLLIN, until)
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                break
            results.append(result)
        for result in results:
            if result.status not in _GOOD:
                raise error_from_result(result)
        return results

    def _wait(self, events: int, until: float) -> None:
        left = until - time.monotonic()
        self._poll.register(self._pgconn.socket, events)
        if left <= 0 or not self._poll.poll(math.ceil(left * 1000)):
            raise NoAnswer
