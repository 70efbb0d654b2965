"""The bare enqueue loop on SQLite: python -m benchmarks.bare.sqlite_enqueue --library apsw

One caller whose every row is committed before the next one is made: a single INSERT in autocommit mode, which spares
the two statements of a transaction. Each row has a new UUIDv7, the encoded argument and the time; two indexes, as in
the drain loop. What is left of the time is the disk: the commit's write and its sync.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks.bare.sqlite_store import INSERT, LIBRARIES, create, new_ids

encode = msgspec.json.Encoder().encode


class Producer:
    """A file and the loop that fills it."""

    def __init__(self, library: str, path: Path) -> None:
        self._connection = create(library, path)
        self._stored = 0

    def enqueue_for(self, seconds: float) -> float:
        """Enqueue for some seconds; return rows per second."""
        execute = self._connection.execute
        before = self._stored
        begin = time.perf_counter()
        while (now := time.perf_counter()) - begin < seconds:
            execute(INSERT, (new_ids(1)[0], time.time_ns() // 1000, encode({"n": self._stored})))
            self._stored += 1
        return (self._stored - before) / (now - begin)

    def close(self) -> None:
        """Check that every row is there, and close the file."""
        assert self._connection.execute("SELECT count(*) FROM jobs").fetchall() == [(self._stored,)]
        self._connection.close()


def main() -> None:
    """Measure once and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", choices=LIBRARIES, default="sqlite3")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--directory", type=Path, help="where the file is made (default: the system's temporary files)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as place:
        producer = Producer(given.library, Path(place) / "bare.db")
        rate = producer.enqueue_for(given.seconds)
        producer.close()
    print(json.dumps({"loop": "sqlite_enqueue", "library": given.library, "jobs_per_second": round(rate)}))


if __name__ == "__main__":
    main()
