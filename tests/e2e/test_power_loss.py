"""The power fails at any moment: what was accepted is there, what is there was offered, and the file is sound.

A writer is recorded system call by system call; the disk is rebuilt as it may look after each of them.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from comanda import Comanda, State

from .disk import CALLS, Disk, Event, Files, Write, parse
from .processes import Launcher

LIMIT = "200000"
"""Characters of a string in strace's log: more than the longest write."""


@pytest.fixture
def strace() -> str:
    """The program. Where CI is set it has to be there, and to be allowed to trace."""
    found = shutil.which("strace")
    if found is not None and not subprocess.run([found, "-qq", "-o", os.devnull, "true"], check=False).returncode:
        return found
    assert "CI" not in os.environ, "strace is missing or may not trace"
    pytest.skip("strace is missing or may not trace: the power-loss replay and disk errors are NOT tested here")


class Promises:
    """What the writer said up to some moment."""

    def __init__(self) -> None:
        self.said: dict[str, set[str]] = {word: set() for word in ("offered", "accepted", "settled")}
        self.together: list[set[str]] = []

    def hear(self, words: bytes) -> None:
        """Take one line of it."""
        word, *ids = words.decode().split()
        if word == "together":
            self.together.append(set(ids))
        else:
            self.said[word] |= set(ids)


class Found(NamedTuple):
    """What a rebuilt database holds: the jobs by state, and whether its counts agree with them."""

    states: dict[str, State]
    counts_agree: bool


def look(directory: Path, files: Files) -> Found:
    """Rebuild the files and open them."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for file, data in files.items():
        (directory / file.name).write_bytes(data)
    return open_found(directory / "jobs.db")


def open_found(path: Path) -> Found:
    """Open a database with the library that checks it, then with comanda."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    app = Comanda(f"sqlite:///{path}")
    states = {job.id: job.state for job in app.find_jobs(limit=1_000)}
    counts = {state: jobs for (_, state), jobs in app.broker.counts().items() if jobs}
    app.close()
    return Found(states, counts == Counter(states.values()))


def record(launcher: Launcher, strace: str, directory: Path) -> list[Event]:
    """Run the writer under strace; return what it and its checkpointer did, in order."""
    log = directory / "strace.log"
    options = ("-f", "-qq", "-y", "-xx", "-s", LIMIT, "--seccomp-bpf", "-e", f"trace={CALLS}", "-e", "signal=none")
    program = (sys.executable, "-m", "tests.e2e.apps.recorded", str(directory / "jobs.db"))
    writer = launcher.start(strace, *options, "-o", str(log), *program)
    assert writer.end() == 0, writer.output()
    return parse(log)


def test_at_every_moment_of_a_power_cut_nothing_accepted_is_lost_and_the_file_is_sound(
    launcher: Launcher, strace: str, tmp_path: Path
) -> None:
    events = record(launcher, strace, tmp_path)
    names = {"jobs.db", "jobs.db-wal", "jobs.db-journal"}
    kinds = Counter(type(event).__name__ for event in events if event.file.name in names)
    assert kinds["Write"] > 100, kinds
    assert kinds["Synced"] > 20, kinds
    disk, promises, chance = Disk(), Promises(), random.Random(1)  # noqa: S311 - no secret, and it has to repeat
    seen: dict[tuple[tuple[Path, bytes], ...], Found] = {}
    moments = 0
    for number, event in enumerate(events):
        if isinstance(event, Write) and event.file.name == "said":
            promises.hear(event.data)
        elif event.file.name in names:
            disk.take(number, event)
        else:
            continue
        for model, files in disk.images(chance):
            key = tuple(sorted(files.items()))
            if key not in seen:
                seen[key] = look(tmp_path / "rebuilt", files)
            where = f"event {number} of {len(events)}, {model} of what was not synced"
            check(promises, seen[key], where)
            moments += 1
    assert moments > 1_000, "every event is a moment, in four models"
    assert [len(ids) for ids in promises.said.values()] == [21, 21, 12]


def check(promises: Promises, found: Found, where: str) -> None:
    """Compare what is there with what was said."""
    assert promises.said["accepted"] <= found.states.keys(), where
    assert found.states.keys() <= promises.said["offered"], where
    assert {found.states[job_id] for job_id in promises.said["settled"]} <= {State.SUCCESSFUL}, where
    for ids in promises.together:
        assert len(ids & found.states.keys()) in (0, len(ids)), where
    assert found.counts_agree, where


class Fault(NamedTuple):
    """A system call that fails at some of its calls, and the two after each."""

    call: str
    error: str
    moments: tuple[int, ...]
    sentence: str
    answers: set[str]


FAULTS = [
    Fault("fdatasync", "EIO", (1, 2, 3, 5, 8, 13), "(disk I/O error): check the disk", {"refused", "uncertain"}),
    Fault("pwrite64", "ENOSPC", (1, 2, 13, 34, 55, 89), "could not grow: the disk is full", {"refused"}),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.error)
def test_a_disk_error_is_said_in_a_sentence_and_costs_nothing_that_was_accepted(
    launcher: Launcher, strace: str, tmp_path: Path, fault: Fault
) -> None:
    """What was refused is not there; what was in doubt and repeated is there once; what comes after it is accepted."""
    sentences: set[str] = set()
    for moment in fault.moments:
        path = tmp_path / f"jobs-{moment}.db"
        options = ("-f", "-qq", "-o", "/dev/null", "--seccomp-bpf", "-e", f"trace={fault.call}")
        injected = f"inject={fault.call}:error={fault.error}:when={moment}..{moment + 2}"
        program = (sys.executable, "-m", "tests.e2e.apps.failing", str(path))
        writer = launcher.start(strace, *options, "-e", injected, *program)
        assert writer.end() == 0, writer.output()
        lines = [line.partition(" ")[::2] for line in writer.output().splitlines()]
        last = dict(lines)
        found = open_found(path)
        assert found.states.keys() == {job_id for job_id, answer in last.items() if answer == "accepted"}
        assert found.counts_agree
        assert [*last.values()][-3:] == ["accepted"] * 3, "it recovers by itself"
        sentences |= {answer for _, answer in lines if answer != "accepted"}
    assert any(fault.sentence in answer for answer in sentences), sentences
    assert {answer.split()[0] for answer in sentences} == fault.answers
