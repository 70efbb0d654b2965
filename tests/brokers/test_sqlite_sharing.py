"""One file, many users: namespaces side by side, other processes, and waiting where no bell can ring."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from comanda.brokers import doorbell
from comanda.brokers.base import Broker
from comanda.brokers.records import JobFilter, State
from comanda.brokers.sqlite import SQLiteBroker
from comanda.testing import FakeClock
from comanda.testing.conformance import BrokerFactory
from comanda.testing.conformance.case import Worker, enqueue, enqueue_one, ids_of
from comanda.testing.conformance.waiting import Waiting
from tests.brokers.sqlite_files import LIBRARIES, open_sqlite

_DRAIN = """
import sys
from comanda.brokers.sqlite import SQLiteBroker
from comanda.testing.conformance.case import Worker, success
broker = SQLiteBroker(sys.argv[1], library_name=sys.argv[2])
worker = Worker(broker)
print("ready", flush=True)
sys.stdin.readline()
while jobs := worker.claim(3):
    assert worker.settle(*map(success, jobs)) == []
    print(*(job.id.hex() for job in jobs))
"""


@pytest.mark.parametrize("library", LIBRARIES)
def test_namespaces_live_side_by_side_in_one_file(tmp_path: Path, library: str) -> None:
    """Two applications, or two of a kind: same names, same keys, nothing in common."""
    brokers = [
        SQLiteBroker(tmp_path / "shop.db", library_name=library, namespace=name, clock=FakeClock())
        for name in ("comanda", "shop", "shop_eu")
    ]
    jobs = [enqueue_one(broker, unique_key="k") for broker in brokers]
    workers = [Worker(broker) for broker in brokers]
    assert [worker.owner for worker in workers] == [1, 1, 1]
    brokers[1].pause("default")
    assert [ids_of(worker.claim()) for worker in workers] == [[jobs[0]], [], [jobs[2]]]
    assert brokers[1].counts() == {("default", State.READY): 1}
    assert brokers[0].delete(JobFilter()) == 0
    for broker in brokers:
        broker.close()


@pytest.mark.parametrize("library", LIBRARIES)
def test_processes_never_get_the_same_job(tmp_path: Path, library: str) -> None:
    """Real processes on one file: their shares are disjoint, and together they are everything."""
    broker = open_sqlite(tmp_path / "jobs.db", library)
    jobs = enqueue(broker, 300)
    command = [sys.executable, "-c", _DRAIN, str(broker.path), library]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    shares = [process.communicate("go\n", timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(shares[0] + shares[1]) == sorted(job.hex() for job in jobs)
    assert broker.counts() == {("default", State.SUCCESSFUL): 300}
    broker.close()


class TestWhereNoBellRings(Waiting):
    """A file system without sockets: the waits look at the file instead, and are found out by nobody."""

    @pytest.fixture
    def make_broker(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BrokerFactory:
        monkeypatch.setattr(doorbell, "_bind", lambda _path: None)
        return lambda clock: SQLiteBroker(tmp_path / "jobs.db", clock=clock)

    @pytest.mark.parametrize("verb", ["retry", "reschedule", "resume", "release", "deregister", "rescue"])
    def test_whatever_makes_work_ends_the_wait_for_it(
        self, broker: Broker, other: Broker, clock: FakeClock, verb: str
    ) -> None:
        """All but `ring`, which tells of a commit that these waits see by themselves."""
        super().test_whatever_makes_work_ends_the_wait_for_it(broker, other, clock, verb)


def test_a_bell_rings_however_long_its_path_is(tmp_path: Path) -> None:
    """A socket's address holds 108 bytes, a path 4,096."""
    directory = tmp_path / ("d" * 100) / ("e" * 100)
    directory.mkdir(parents=True)
    bell, ringer = doorbell.Bell(directory, "work"), doorbell.Ringer(directory)
    assert bell.rings
    ringer.ring("change")
    assert not bell.rang()
    ringer.ring("work")
    assert bell.rang()
    bell.close()
    ringer.close()
    assert list(directory.iterdir()) == []


def test_the_bell_of_a_dead_process_is_removed_by_whoever_rings(tmp_path: Path) -> None:
    dead, alive = doorbell.Bell(tmp_path, "work"), doorbell.Bell(tmp_path, "work")
    dead.abandon()
    ringer = doorbell.Ringer(tmp_path)
    ringer.ring("work")
    assert alive.rang()
    assert len(list(tmp_path.iterdir())) == 1
    alive.close()
    ringer.close()


def test_a_full_bell_is_awake_already(tmp_path: Path) -> None:
    """Nobody who rings is held up by somebody who does not listen."""
    bell, ringer = doorbell.Bell(tmp_path, "work"), doorbell.Ringer(tmp_path)
    for _ in range(1_000):
        ringer.ring("work")
    assert bell.rang()
    assert not bell.rang()
    bell.close()
    ringer.close()


def test_a_bell_is_known_to_all_who_ring_once_it_is_there(tmp_path: Path) -> None:
    ringer = doorbell.Ringer(tmp_path)
    ringer.ring("work")  # from here on it remembers for a moment that nobody listens
    bell = doorbell.Bell(tmp_path, "work")
    ringer.ring("work")
    assert bell.rang()
    bell.close()
    ringer.close()


def test_a_process_with_thousands_of_open_files_hears_the_bell(tmp_path: Path) -> None:
    """A web server holds a descriptor for each client, and select() takes none above 1,023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2_048, hard), hard))
    try:
        with ExitStack() as opened:
            for _ in range(1_024):
                opened.enter_context(open(os.devnull))  # noqa: PTH123
            broker = SQLiteBroker(tmp_path / "jobs.db")
            opened.callback(broker.close)
            broker.wait_for_work(0)
            broker.ring()
            broker.wait_for_work(3_600)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


_OPEN = """
import sys
from comanda.brokers.sqlite import SQLiteBroker
for path in map(str.strip, sys.stdin):
    broker = SQLiteBroker(path, library_name=sys.argv[1])
    broker.open()
    broker.close()
    print("opened", flush=True)
"""


@pytest.mark.parametrize("library", LIBRARIES)
def test_processes_that_make_a_new_file_at_one_moment_do_not_fail_each_other(tmp_path: Path, library: str) -> None:
    """A web process and its worker, started by one command. Four of ten failed after 1 ms, "locked for 5 s"."""
    command = [sys.executable, "-c", _OPEN, library]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for number in range(40):
            path = tmp_path / f"{number}.db"
            other.stdin.write(f"{path}\n")
            open_sqlite(path, library).close()
            assert other.stdout.readline() == "opened\n"
        other.stdin.close()
        assert other.wait() == 0
