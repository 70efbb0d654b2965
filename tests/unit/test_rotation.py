"""How a limit is shared among queues."""

from __future__ import annotations

from collections import Counter, deque

from hypothesis import given
from hypothesis import strategies as st

from comanda.brokers.records import Claimed
from comanda.brokers.rotation import Rotation

Lines = dict[str, deque[Claimed]]


def _job(n: int, queue: str) -> Claimed:
    return Claimed(n, b"", 1, 1, 0, "task", queue, b"", None, 0)


def _lines(lengths: dict[str, int]) -> Lines:
    return {name: deque(_job(n, name) for n in range(length)) for name, length in lengths.items()}


def _take(rotation: Rotation, lines: Lines, limit: int, *, strict: bool = False) -> list[Claimed]:
    def take_from(queue: str, wanted: int) -> list[Claimed]:
        assert wanted > 0
        return [lines[queue].popleft() for _ in range(min(wanted, len(lines[queue])))]

    return rotation.take(list(lines), limit, take_from, strict=strict)


@given(
    lengths=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 12)),
    limit=st.integers(0, 40),
    strict=st.booleans(),
    turns=st.integers(0, 9),
)
def test_a_claim_takes_all_that_the_limit_allows_and_each_queue_in_order(
    lengths: dict[str, int], limit: int, strict: bool, turns: int
) -> None:
    rotation, lines = Rotation(), _lines(lengths)
    for _ in range(turns):
        _take(rotation, _lines(dict.fromkeys(lengths, 0)), 1)
    taken = _take(rotation, lines, limit, strict=strict)
    assert len(taken) == min(limit, sum(lengths.values()))
    for name in lengths:
        assert [job.n for job in taken if job.queue == name] == list(range(sum(job.queue == name for job in taken)))


@given(queues=st.integers(1, 8), limit=st.integers(1, 20))
def test_queues_that_are_never_empty_get_the_same_share_in_the_long_run(queues: int, limit: int) -> None:
    rotation, served = Rotation(), Counter[str]()
    lines = _lines(dict.fromkeys("abcdefgh"[:queues], 1_000))
    for _ in range(queues):
        served.update(job.queue for job in _take(rotation, lines, limit))
    assert set(served.values()) == {limit}


def test_strict_looks_at_the_next_queue_only_when_one_is_empty() -> None:
    lines = _lines({"a": 2, "b": 9})
    taken = _take(Rotation(), lines, 5, strict=True)
    assert [job.queue for job in taken] == ["a", "a", "b", "b", "b"]
