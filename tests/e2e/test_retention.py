"""Finished jobs are removed by policy, and the file gets smaller."""

from __future__ import annotations

from pathlib import Path

from comanda import State

from .conftest import Load
from .processes import SOON, Launcher

ARCHIVE = "tests.e2e.apps.archive:app"


def test_finished_jobs_are_removed_by_policy_and_their_room_is_given_back(
    launcher: Launcher, load: Load, tmp_path: Path
) -> None:
    archive = load("archive")

    def states() -> list[State]:
        return sorted(job.state for job in archive.app.find_jobs(limit=1_000))

    def size() -> int:
        archive.app.close()  # the last one to close moves the log into the file
        return (tmp_path / "shop.db").stat().st_size

    def clean(removed: int, **policy: str) -> None:
        worker = launcher.worker(ARCHIVE, "--log-level", "DEBUG", **policy)
        left = removed
        while left > 0:  # in one turn, or in several on a busy machine
            left -= int(worker.line(r"(\d+) jobs were kept long enough and are removed")[1])
        assert left == 0
        assert worker.stop() == 0

    archive.app.enqueue_many(archive.read.call("x" * 40_000) for _ in range(400))
    archive.read.enqueue("")
    assert launcher.comanda("worker", ARCHIVE, "--burst").end() == 0
    assert states() == [State.FAILED, *[State.SUCCESSFUL] * 400]
    sizes = [size()]
    clean(301, COMANDA_KEEP_AT_MOST="100")
    assert states() == [State.FAILED, *[State.SUCCESSFUL] * 99], "those enqueued first go first"
    sizes.append(size())
    clean(99, COMANDA_KEEP_SUCCESSFUL="0")
    assert states() == [State.FAILED], "what failed is kept for longer"
    sizes.append(size())
    assert sizes[0] > 16_000_000
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 3


def test_what_is_kept_by_default_is_said(launcher: Launcher, load: Load) -> None:
    load("archive").read.enqueue("x")
    assert launcher.comanda("worker", ARCHIVE, "--burst").end() == 0
    doctor = launcher.comanda("doctor")
    doctor.line("retention .* kept are successful ones for 7 d, others for 30 d, at most 1,000,000")
    assert doctor.end(SOON) == 0
