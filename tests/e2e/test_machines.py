"""Two machines on one server: nothing on this host's disk is shared, not even the lock files of workers."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from comanda import State

from .conftest import on_servers
from .evidence import counts, runs
from .processes import SHOP, SOON, Gate, Launcher, Process, kill

SHORT_LEASE = {"COMANDA_LEASE": "2", "COMANDA_HEARTBEAT": "0.5", "COMANDA_RESCUE": "0.5"}


def machine(launcher: Launcher, directory: Path) -> Process:
    """Start a worker as on a machine of its own, with the same command and the same code."""
    directory.mkdir(mode=0o700)
    return launcher.worker(SHOP, "-c", "2", XDG_RUNTIME_DIR=str(directory), **SHORT_LEASE)


@on_servers
def test_a_second_machine_joins_without_a_change_and_takes_over_when_the_first_is_gone(
    launcher: Launcher, shop: ModuleType, gate: Gate, tmp_path: Path
) -> None:
    """Only silence tells that a machine has lost its power: its lease runs out by the server's clock."""
    first = machine(launcher, tmp_path / "first")
    held = [shop.visit.enqueue() for _ in range(2)]  # all its slots
    visits = [gate.visit() for _ in held]
    second = machine(launcher, tmp_path / "second")
    noted = shop.app.enqueue_many(shop.note.call(number) for number in range(200))
    assert [job.result(SOON) for job in noted] == list(range(200)), "the second one works beside the first"
    assert visits[0].pid not in {pid for pids in runs(tmp_path).values() for pid in pids}
    kill(first.pid, visits[0].pid)
    second.line("silent")
    for _ in held:
        again = gate.visit()
        assert (again.attempt, again.pid != visits[0].pid) == (2, True)
        again.let_go()
    assert [job.result(SOON) for job in held] == [2, 2]
    assert {len(pids) for pids in runs(tmp_path).values()} == {1}
    assert counts(shop) == {State.SUCCESSFUL: 202}
    assert second.stop() == 0
