"""How long a place stays empty between two children."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from comanda.settings import Settings
from comanda.worker import messages
from comanda.worker.places import LONGEST_AT_WORK, ChildProcess, Place

MANY = 12
"""Ends in a row; so many doublings of half a second reach any limit."""


@pytest.fixture
def child() -> Iterator[ChildProcess]:
    """A child of an app that does not exist."""
    begun = ChildProcess(messages.Work(app="nowhere:app"))
    begun.process.wait()
    yield begun
    begun.close()


def test_children_that_cannot_begin_are_started_ever_later(child: ChildProcess) -> None:
    place = Place()
    pauses = []
    for _ in range(MANY):
        place.child = child
        pauses.append(place.vacate())
    assert pauses[0] == 0
    assert pauses[-1] >= 15


def test_one_that_had_begun_to_work_is_replaced_within_two_seconds_however_often_jobs_kill_it(
    child: ChildProcess,
) -> None:
    child.ready = messages.Ready(owner=1, settings=Settings(), tasks=(), store={})
    place = Place()
    for _ in range(MANY):
        place.child = child
        assert place.vacate() <= LONGEST_AT_WORK == 2
