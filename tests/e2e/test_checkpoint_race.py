"""The WAL-reset rule (design section 6): who never checkpoints cannot start the race, in any order of steps.

SQLite before 3.51.3 can damage a file when a checkpoint meets a writer. comanda's connections on such a library never
checkpoint; a process of its own does, through apsw, where the race is mended. Here the orders are forced, not left to
chance: writer, reader and checkpointer are processes that take one commanded step at a time.
"""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from .processes import Launcher

STEPS = ("begin", "commit", "read", "checkpoint", "on", "on", "on")
"""A writer's two, a reader's one, and a checkpoint with its three stops: the log, the first page, the sync."""


class Played:
    """A process that takes one step for each line it is sent."""

    def __init__(self, launcher: Launcher, role: str, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.apps.wal_actor", role, str(path)],
            env=launcher.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.answer() == "here"

    def answer(self) -> str:
        """Read what it says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def step(self, words: str) -> str:
        """Let it take a step; return what came of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        return self.answer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


def orders() -> list[tuple[str, ...]]:
    """Return every order of the steps in which each process takes its own in turn: 7! / (2! 1! 4!) = 105."""
    places = range(len(STEPS))
    return [
        tuple(
            "read" if place == reads else ("begin", "commit")[place == writes[1]] if place in writes else "checkpoint"
            for place in places
        )
        for writes in itertools.combinations(places, 2)
        for reads in places
        if reads not in writes
    ]


class Round:
    """One order of steps, on a log that has something to copy."""

    def __init__(self, played: dict[str, Played], mode: str, number: int, acknowledged: set[int]) -> None:
        self._played = played
        self._mode = mode
        self._number = number
        self._acknowledged = acknowledged
        self.writer = self.reader = self.checkpointer = ""

    def play(self, order: tuple[str, ...]) -> None:
        """Take the steps, and let everybody come to an end."""
        for step in order:
            getattr(self, step)()
        while not self.checkpointer.startswith("ended"):
            self.checkpoint()
        self._played["reader"].step("leave")

    def begin(self) -> None:
        """The writer begins, unless the checkpoint keeps writers out."""
        self.writer = self._played["writer"].step(f"begin {self._number}")

    def commit(self) -> None:
        """The writer commits."""
        if self.writer == "begun":
            self.writer = self._played["writer"].step("commit")
            self._acknowledged.add(self._number)

    def read(self) -> None:
        """A reader opens its transaction, and sees what was acknowledged."""
        self.reader = self._played["reader"].step("read")
        assert self.reader in ("busy", str(len(self._acknowledged)))

    def checkpoint(self) -> None:
        """The checkpointer begins, or goes on to its next stop."""
        if not self.checkpointer.startswith("ended"):
            self.checkpointer = self._played["checkpointer"].step(
                "on" if self.checkpointer else f"checkpoint {self._mode}"
            )


@pytest.mark.parametrize("mode", ["PASSIVE", "RESTART", "TRUNCATE"])
def test_no_order_of_writer_reader_and_checkpoint_loses_a_row_or_damages_the_file(
    launcher: Launcher, tmp_path: Path, mode: str
) -> None:
    path = tmp_path / "jobs.db"
    acknowledged: set[int] = set()
    ends: Counter[str] = Counter()
    with ExitStack() as stack:
        roles = ("writer", "reader", "checkpointer", "filler")
        played = {role: stack.enter_context(Played(launcher, role, path)) for role in roles}
        for number, order in enumerate(orders()):
            filled = -number - 1
            assert [played["filler"].step(step) for step in (f"begin {filled}", "commit")] == ["begun", "committed"]
            acknowledged.add(filled)
            if number % 10 == 0:
                played["filler"].step("close")  # while the others have the file open
            game = Round(played, mode, number, acknowledged)
            game.play(order)
            ends.update((game.writer, game.reader, game.checkpointer))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert {number for (number,) in connection.execute("SELECT number FROM ledger")} == acknowledged
    kept_out = 0 if mode == "PASSIVE" else 63  # the orders in which the writer comes between a checkpoint's steps
    assert (ends["committed"], ends["busy"]) == (105 - kept_out, kept_out)


def test_a_library_with_the_race_leaves_the_database_file_alone_while_others_have_it_open(
    launcher: Launcher, tmp_path: Path
) -> None:
    """However much is written and whoever closes: 3,000 pages of log are three times what starts a checkpoint."""
    path = tmp_path / "jobs.db"

    def main_file() -> tuple[int, int]:
        return path.stat().st_size, path.stat().st_mtime_ns

    with Played(launcher, "writer", path) as writer, Played(launcher, "reader", path) as reader:
        before = main_file()
        for number in range(20):
            assert writer.step(f"begin {100 * number} 100") == "begun"
            assert writer.step("commit") == "committed"
        assert reader.step("read") == "2000"
        assert writer.step("close") == "closed"
        assert main_file() == before
        assert path.with_name("jobs.db-wal").stat().st_size > 3_000 * 4_096
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM ledger").fetchall() == [(2_000,)]
