"""Signs of life: who is dead, what it had started, and nobody else's file is touched."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from comanda.worker.presence import Presence, departed, overdue, started_of

HOLD = """
import sys
from pathlib import Path
from comanda.worker.presence import Presence
presence = Presence(Path(sys.argv[1]), int(sys.argv[2]), 4)
presence.page[1] = 11
presence.page[3] = 13
print("held", flush=True)
sys.stdin.read()
"""

FORK = """
import os, sys
from pathlib import Path
from comanda.worker.presence import Presence
presence = Presence(Path(sys.argv[1]), int(sys.argv[2]), 4)
presence.page[0] = 21
hear, tell = os.pipe()
if os.fork() == 0:
    os.write(tell, b"!")
    os.read(0, 1)  # outlives its parent, until the test has ended
    os._exit(0)
os.read(hear, 1)
print("held", flush=True)
os.kill(os.getpid(), 9)
"""


@contextmanager
def _holder(directory: Path, owner: int, script: str = HOLD) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", script, str(directory), str(owner)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"held\n"
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_a_living_owner_has_not_departed(tmp_path: Path) -> None:
    with _holder(tmp_path, 7):
        assert list(departed(tmp_path)) == []
        assert started_of(tmp_path, 7) == {11, 13}


def test_a_killed_owner_has_departed_with_what_it_had_started(tmp_path: Path) -> None:
    with _holder(tmp_path, 7) as process:
        process.kill()
        process.wait()
        assert list(departed(tmp_path)) == [(7, {11, 13})]
    assert list(tmp_path.iterdir()) == []
    assert list(departed(tmp_path)) == []


def test_a_forked_child_does_not_keep_its_dead_parents_sign_alive(tmp_path: Path) -> None:
    with _holder(tmp_path, 8, FORK) as process:
        process.wait()
        assert list(departed(tmp_path)) == [(8, {21})]


def test_an_owner_stays_for_the_next_look_when_handing_back_fails(tmp_path: Path) -> None:
    with _holder(tmp_path, 7) as process:
        process.kill()
        process.wait()
    look = departed(tmp_path)
    assert next(look) == (7, {11, 13})
    del look  # as when the consumer raised
    assert list(departed(tmp_path)) == [(7, {11, 13})]


def test_two_rescuers_never_see_one_owner_at_a_time(tmp_path: Path) -> None:
    with _holder(tmp_path, 7) as process:
        process.kill()
        process.wait()
    first = departed(tmp_path)
    assert next(first)[0] == 7
    assert list(departed(tmp_path)) == []
    assert list(first) == []
    assert list(departed(tmp_path)) == []


def test_owners_that_somebody_else_looks_after_are_left_out(tmp_path: Path) -> None:
    with _holder(tmp_path, 7) as process:
        process.kill()
        process.wait()
    assert list(departed(tmp_path, but={7})) == []
    assert [owner for owner, _ in departed(tmp_path)] == [7]


def test_closing_removes_the_sign(tmp_path: Path) -> None:
    held = Presence(tmp_path, 3, 2)
    held.page[0] = 5
    assert started_of(tmp_path, 3) == {5}
    held.close()
    assert started_of(tmp_path, 3) is None
    assert list(tmp_path.iterdir()) == []


def test_an_orderly_end_clears_all_but_what_overran(tmp_path: Path) -> None:
    held = Presence(tmp_path, 3, 3)
    held.page[0], held.page[1] = 5, 6
    held.clear(but=(6,))
    assert started_of(tmp_path, 3) == {6}
    held.close()


def test_time_limits_that_have_passed_are_seen_from_outside(tmp_path: Path) -> None:
    held = Presence(tmp_path, 3, 3)
    held.page[0], held.page[3] = 5, 1_000
    held.page[1], held.page[4] = 6, 3_000
    held.page[2] = 7
    assert overdue(tmp_path, 3, 2_000) == {5}
    assert overdue(tmp_path, 4, 2_000) == set()
    held.close()


def test_without_a_directory_the_page_is_plain_memory() -> None:
    held = Presence(None, 1, 2)
    held.page[1] = 9
    assert list(held.page) == [0, 9, 0, 0]
    held.close()
    assert started_of(None, 1) is None


def test_a_sign_appears_only_once_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[tuple[int, set[int]]]] = []
    real = fcntl.flock

    def look_before(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", real)
        seen.append(list(departed(tmp_path)))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", look_before)
    held = Presence(tmp_path, 3, 1)
    assert seen == [[]]
    assert [entry.name for entry in tmp_path.iterdir()] == ["owner-3"]
    held.close()
