"""The bare drain loop on Redis: python -m benchmarks.bare.redis_drain --url redis://127.0.0.1:6379/0

One process, one thread, one connection. A script settles the last batch and claims the next one, so there is one round
trip, and one sync of the server's log, for 500 jobs. Ids wait in a list and move to a set while they run; payloads lie
in a hash by id, and so do the history records with times, worker and result. Each job is decoded, handed to a no-op
function, and its result encoded; the clock is read once a job, since the end of one is the beginning of the next.

Commands are packed and replies parsed by hiredis, without redis-py in between: 10 µs less for a command. No fence and
no owner is checked: nobody else works on the server. How durable it is, is the server's affair: give it the settings of
the loop it is compared with. The database must be empty, and is emptied afterwards.

Counted as every drain here: from the end of execution 5,000 to the end of execution 100,000 of a longer backlog. The
last line is JSON; the loop fails if not every job is done exactly once.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import hiredis
import msgspec

from benchmarks.bare.sqlite_store import new_ids

BATCH = 500
_WORKER = 1

_EXCHANGE = """
local size = (#ARGV - 1) / 2
if size > 0 then
    redis.call('HSET', KEYS[4], unpack(ARGV, 2))
    local ids = {}
    for index = 1, size do
        ids[index] = ARGV[2 * index]
    end
    redis.call('SREM', KEYS[2], unpack(ids))
end
local ids = redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)
if #ids == 0 then
    return {{}, {}}
end
redis.call('LTRIM', KEYS[1], #ids, -1)
redis.call('SADD', KEYS[2], unpack(ids))
return {ids, redis.call('HMGET', KEYS[3], unpack(ids))}
"""
_KEYS = ("ready", "running", "jobs", "history")
_record = struct.Struct(">Iqq").pack

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode

executed: list[int] = []


def noop(n: int) -> None:
    """The task: notes its argument, so that every execution is counted."""
    executed.append(n)


task: Callable[..., object] = noop


class Connection:
    """A socket to the server, spoken on through hiredis."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port or 6379))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()
        self._buffer = bytearray(1 << 18)
        self.call("SELECT", int(address.path.strip("/") or 0))

    def call(self, *command: str | bytes | int) -> Any:
        """Send a command and return its reply."""
        self._socket.sendall(hiredis.pack_command(command))  # type: ignore[arg-type] # its stub says a tuple of one
        while (reply := self._reader.gets()) is False:
            size = self._socket.recv_into(self._buffer)
            self._reader.feed(self._buffer, 0, size)  # type: ignore[arg-type] # its stub leaves out bytearray
        if isinstance(reply, Exception):
            raise reply
        return reply


def fill(connection: Connection, jobs: int) -> None:
    """Store `jobs` jobs, a batch in two commands."""
    for start in range(0, jobs, BATCH):
        ids = new_ids(min(BATCH, jobs - start))
        payloads = [encode({"n": start + index}) for index in range(len(ids))]
        connection.call("HSET", "jobs", *(part for pair in zip(ids, payloads, strict=True) for part in pair))
        connection.call("RPUSH", "ready", *ids)


def run(connection: Connection) -> list[int]:
    """Work until nothing is ready; return when each execution ended, in microseconds."""
    sha = connection.call("SCRIPT", "LOAD", _EXCHANGE)
    ended: list[int] = []
    done: list[bytes] = []
    while True:
        ids, payloads = connection.call("EVALSHA", sha, len(_KEYS), *_KEYS, BATCH, *done)
        if not ids:
            return ended
        done = []
        started = time.time_ns() // 1000
        for id_, payload in zip(ids, payloads, strict=True):
            result = task(**decode(payload))
            finished = time.time_ns() // 1000
            done += (id_, _record(_WORKER, started, finished) + encode(result))
            ended.append(finished)
            started = finished


def measure(url: str, jobs: int) -> float:
    """Return jobs per second from execution 5 % to execution 100 % of `jobs`, out of a backlog that is 10 % longer."""
    executed.clear()
    backlog = jobs + jobs // 10
    connection = Connection(url)
    assert connection.call("DBSIZE") == 0, "the database is not empty"
    fill(connection, backlog)
    ended = run(connection)
    left = [connection.call("LLEN", "ready"), connection.call("SCARD", "running"), connection.call("HLEN", "history")]
    connection.call("FLUSHDB")
    assert left == [0, 0, backlog], left
    assert executed == list(range(backlog)), "not every job was executed exactly once, in order"
    first = jobs // 20
    return (jobs - first) / (ended[jobs - 1] - ended[first - 1]) * 1e6


def main() -> None:
    """Measure once and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="redis://127.0.0.1:6379/0")
    parser.add_argument("--jobs", type=int, default=100_000)
    given = parser.parse_args()
    print(json.dumps({"loop": "redis_drain", "jobs_per_second": round(measure(given.url, given.jobs))}))


if __name__ == "__main__":
    main()
