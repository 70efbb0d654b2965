"""A process that forks after it has used comanda: a web server's master, for instance."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.servers.stores import SCHEMES, SERVERS, Store, StoreOf

BEGIN = """
    import asyncio, os, sys, threading, warnings
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)  # that is the point
    from comanda import Comanda
    from comanda.testing import run_jobs
    app = Comanda(sys.argv[1], namespace=sys.argv[2])
    @app.task(name="double")
    def double(number: int) -> int:
        return 2 * number
    letters = app.message_queue("letters")

    def use() -> list[object]:
        job = double.enqueue(1)
        other = asyncio.run(enqueue_and_wait())
        run_jobs(app)
        letters.put("a")
        return [job.result(timeout=30), other, letters.get(timeout=30)]

    async def enqueue_and_wait() -> int:
        job = await double.aenqueue(2)
        await asyncio.to_thread(run_jobs, app)
        return await job.aresult(timeout=30)

    def fork(child) -> None:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                child()
                status = 0
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        print("child ended with", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def run(program: str, store: Store) -> str:
    """What a program prints that is run in a process of its own."""
    import comanda

    source = str(Path(comanda.__file__).parent.parent)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(BEGIN) + textwrap.dedent(program), *store],
        env=os.environ | {"PYTHONPATH": source},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


FILES = ("sqlite", "sqlite+apsw")

on_every_broker = pytest.mark.parametrize("scheme", SCHEMES)
on_shared_stores = pytest.mark.parametrize("scheme", [*FILES, *SERVERS])
on_files = pytest.mark.parametrize("scheme", FILES)


@on_shared_stores
def test_a_forked_child_enqueues_waits_and_consumes_and_its_parent_goes_on(store_of: StoreOf, scheme: str) -> None:
    program = """
        print("parent", *use(), flush=True)
        fork(lambda: print("child", *use(), flush=True))
        print("parent", *use(), flush=True)
        print(len(app.find_jobs()), len(letters), flush=True)
        app.close()
    """
    assert run(program, store_of(scheme)).splitlines() == [
        "parent 2 4 a",
        "child 2 4 a",
        "child ended with 0",
        "parent 2 4 a",
        "6 0",
    ]


def test_a_forked_child_has_a_memory_of_its_own(store_of: StoreOf) -> None:
    program = """
        print("parent", *use(), flush=True)
        fork(lambda: print("child", *use(), flush=True))
        print("parent", *use(), flush=True)
        app.close()
    """
    assert run(program, store_of("memory")).splitlines() == [
        "parent 2 4 a",
        "child 2 4 a",
        "child ended with 0",
        "parent 2 4 a",
    ]


@on_files
def test_a_child_inherits_no_connection_and_no_thread_of_comanda(store_of: StoreOf, scheme: str) -> None:
    """What it does not have it cannot close: closing would drop the parent's locks on the file."""
    program = """
        use()
        def look() -> None:
            names = [name for name in os.listdir("/dev/fd") if os.path.exists(f"/dev/fd/{name}")]
            open_files = {os.path.basename(os.path.realpath(f"/dev/fd/{name}")) for name in names}
            print(sorted(name for name in open_files if name.startswith("queue.db")))
            print([thread.name for thread in threading.enumerate()], flush=True)
        fork(look)
        app.close()
    """
    lines = run(program, store_of(scheme)).splitlines()
    assert lines == ["[]", "['MainThread']", "child ended with 0"]


@on_every_broker
def test_a_fork_in_the_middle_of_a_commit_strands_neither_side(store_of: StoreOf, scheme: str) -> None:
    """Another thread leads a commit at the moment of the fork; in the child it is not there to hand on the lead."""
    program = """
        entered, go_on = threading.Event(), threading.Event()
        commit = app.broker.enqueue

        def slow(jobs):
            entered.set()
            assert go_on.wait(30)
            return commit(jobs)

        app.producer._commits._commit = slow
        leader = threading.Thread(target=double.enqueue, args=(1,))
        leader.start()
        assert entered.wait(30)

        def child() -> None:
            go_on.set()
            print("child", double.enqueue(2).created, flush=True)

        fork(child)
        go_on.set()
        leader.join()
        print("parent", double.enqueue(3).created, flush=True)
        app.close()
    """
    assert run(program, store_of(scheme)).splitlines() == ["child True", "child ended with 0", "parent True"]


@on_shared_stores
def test_the_messages_that_a_parent_holds_stay_its_own(store_of: StoreOf, scheme: str) -> None:
    program = """
        letters.put("held", "free")
        with letters.receive() as message:
            def child() -> None:
                print("child", letters.get(timeout=30), len(letters), flush=True)
                app.close()
            fork(child)
        print("parent", message, len(letters), app.broker.counts(), flush=True)
        app.close()
    """
    assert run(program, store_of(scheme)).splitlines() == ["child free 0", "child ended with 0", "parent held 0 {}"]
