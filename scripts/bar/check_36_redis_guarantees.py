"""Check 36 of the bar: `python -m scripts.bar.check_36_redis_guarantees`.

A Redis server that evicts, keeps nothing on disk, or syncs seldom: the start of a worker, `info` and `doctor` name the
missing guarantee, and `?durability=strict` refuses it. One that evicts any key is refused always. On a full server
(maxmemory reached) an enqueue raises a clear error and stores nothing; what was accepted before is all there, and is
done.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

from comanda import ConfigurationError, State
from comanda.brokers.base import Broker
from comanda.cli.program import program
from comanda.errors import BrokerUnavailable

from .processes import redis, worker
from .report import Report, comanda
from .shop import declare

_LONG = 60.0
"""Seconds that only a check that fails waits."""

ROOM = 4_000_000
"""Bytes that jobs get before the server is full."""

APP = """
from comanda import Comanda
app = Comanda()

@app.task(timeout=30)
def add(left: int, right: int) -> int:
    return left + right
"""


class Weak(NamedTuple):
    """A server that does not promise everything, and what is said of it."""

    settings: dict[str, str]
    sentence: str


WEAK = (
    Weak({"appendfsync": "everysec"}, "appendfsync everysec: the last second may be lost at a crash"),
    Weak({"appendfsync": "no"}, "appendfsync no: up to half a minute may be lost at a crash"),
    Weak({"appendonly": "no"}, "appendonly no: all jobs since the last snapshot are lost when it stops"),
    Weak({"maxmemory_policy": "volatile-lru"}, "maxmemory-policy volatile-lru is meant for caches"),
)
EVICTS = ("allkeys-lru", "allkeys-lfu", "allkeys-random")


def _name(settings: dict[str, str]) -> str:
    return ", ".join(f"{name.replace('_', '-')} {value}" for name, value in settings.items()) or "everything on"


def look(report: Report, directory: Path, settings: dict[str, str], sentence: str) -> None:
    """Look at what a worker's start, `info`, `doctor` and strict mode say of a server."""
    with redis(**settings) as server:
        (directory / "comanda.toml").write_text(f'url = "{server.url}"\n')
        said = {"worker": comanda(directory, "worker", "app:app", "--burst")[1]}
        for command in ("info", "doctor"):
            said[command] = CliRunner().invoke(program, [command, "--url", server.url]).output
        for command, words in said.items():
            told = (sentence or "may be lost") in " ".join(words.split())
            says = "names it" if told else "says nothing"
            report.see(told == bool(sentence), f"{_name(settings)}: comanda {command} {says}")
        (directory / "comanda.toml").write_text(f'url = "{server.url}?durability=strict"\n')
        code, words = comanda(directory, "worker", "app:app", "--burst")
        refused = code != 0 and f"refused by durability=strict: {sentence}" in " ".join(words.split())
        report.see(refused == bool(sentence), f"{_name(settings)}: strict mode {'refuses' if refused else 'takes it'}")


def evicting(report: Report) -> None:
    """Look at what happens on a server that throws any key away."""
    for policy in EVICTS:
        with redis(maxmemory_policy=policy) as server:
            shop = declare(server.url)
            try:
                shop.noop.enqueue(1)
            except ConfigurationError as error:
                report.see(f"has maxmemory-policy {policy}" in str(error), f"{policy}: {error}")
            else:
                report.see(False, f"{policy}: a job was taken")
            shop.app.close()


def full(report: Report) -> None:
    """Fill a server, look at the refusal, and let a worker do what was accepted."""
    with redis() as server:
        shop = declare(server.url)
        shop.noop.enqueue(0)
        with server.client() as client:
            client.config_set("maxmemory", int(client.info("memory")["used_memory"]) + ROOM)
        accepted, refusal, took = [0], "", 0.0
        for start in itertools.count(1, 100):
            begin = time.monotonic()
            try:
                shop.app.enqueue_many(shop.noop.call(n) for n in range(start, start + 100))
            except BrokerUnavailable as error:
                refusal, took = str(error), time.monotonic() - begin
                break
            accepted += range(start, start + 100)
        clear = "is out of memory and takes no more jobs; nothing was written: raise maxmemory" in refusal
        report.see(clear and took < 10, f"full after {len(accepted):,} jobs, refused in {took * 1e3:.0f} ms: {refusal}")
        counts = shop.app.broker.counts()
        report.see(counts == {("default", State.READY): len(accepted)}, f"in the store: {sum(counts.values()):,} jobs")
        drain(report, shop.app.broker, server.url, len(accepted))
        shop.app.close()


def drain(report: Report, broker: Broker, url: str, jobs: int) -> None:
    """Let a worker do on the full server what was accepted."""
    with worker(url):
        until = time.monotonic() + _LONG
        while broker.counts().get(("default", State.SUCCESSFUL), 0) < jobs and time.monotonic() < until:
            time.sleep(0.05)
    done = broker.counts().get(("default", State.SUCCESSFUL), 0)
    report.see(done == jobs, f"on the full server a worker has done {done:,} of {jobs:,}")


def main() -> int:
    """Print what was seen; return the exit code."""
    report = Report("check 36: a Redis server that may lose jobs is named, and in strict mode refused")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "app.py").write_text(APP)
        look(report, directory, {}, "")
        for weak in WEAK:
            look(report, directory, weak.settings, weak.sentence)
    evicting(report)
    full(report)
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
