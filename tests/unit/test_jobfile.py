"""The file that carries jobs between stores: everything comes back, and nothing that is broken passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comanda import jobfile
from comanda.brokers.records import MESSAGE, AttemptRecord, Failure, JobRecord, OperationRecord, State
from comanda.errors import ConfigurationError
from comanda.ids import new_ids

_moments = st.integers(-(2**63), 2**63 - 1)
_texts = st.text(st.characters(exclude_categories=["Cs"]))
_failures = st.builds(Failure, type=_texts, message=_texts, traceback=_texts, reason=_texts)
_attempts = st.builds(
    AttemptRecord,
    number=st.integers(0, 100),
    outcome=st.sampled_from(["failed", "running", "lost"]),
    started_at=_moments,
    finished_at=st.none() | _moments,
    host=_texts,
    pid=st.integers(0, 2**31),
    version=_texts,
    failure=st.none() | _failures,
)
_records = st.builds(
    JobRecord,
    id=st.binary(min_size=16, max_size=16),
    task=st.just(MESSAGE) | _texts,
    queue=_texts.filter(bool),
    state=st.sampled_from(State),
    priority=st.integers(-100, 100),
    due=_moments,
    enqueued_at=_moments,
    started_at=st.none() | _moments,
    finished_at=_moments,
    attempt=st.integers(0, 1_000),
    crashes=st.integers(0, 3),
    fence=st.just(0),
    version=st.just(0),
    parked=st.just(False),
    payload=st.binary(),
    result=st.none() | st.binary(),
    failure=st.none() | _failures,
    options=st.none() | st.binary(),
    unique_key=st.none() | _texts,
    expires=st.none() | _moments,
    stop_requested=st.booleans(),
    attempts=st.lists(_attempts, max_size=3),
    operations=st.lists(st.builds(OperationRecord, verb=_texts, at=_moments, actor=_texts), max_size=2),
)


def file_of(*records: JobRecord, paused: tuple[str, ...] = ()) -> list[bytes]:
    return list(jobfile.write(records, store="memory://", namespace="comanda", now=5, paused=paused))


def job(**fields: Any) -> JobRecord:
    settings: dict[str, Any] = {
        "id": new_ids(1)[0],
        "task": "task",
        "queue": "default",
        "state": State.READY,
        "priority": 0,
        "due": 10,
        "enqueued_at": 10,
        "started_at": None,
        "finished_at": None,
        "attempt": 0,
        "crashes": 0,
        "fence": 0,
        "version": 0,
        "parked": False,
        "payload": b"[]",
        "result": None,
        "failure": None,
        "options": None,
        "unique_key": None,
        "expires": None,
        "stop_requested": False,
        "attempts": [],
        "operations": [],
        **fields,
    }
    return JobRecord(**settings)


@given(st.lists(_records, max_size=3))
def test_every_job_comes_back_as_it_was(records: list[JobRecord]) -> None:
    header, found = jobfile.read(file_of(*records, paused=("mail",)))
    assert (header.format, header.store, header.exported_at, header.paused) == (1, "memory://", 5, ("mail",))
    assert list(found) == records


def test_a_line_is_what_a_person_can_read() -> None:
    """Ids and UTF-8 as text, other bytes as base64, times as whole microseconds, defaults left out."""
    record = job(id=bytes(15) + b"\x07", payload='{"to":"café"}'.encode(), result=b"\xff\x00")
    assert json.loads(file_of(record)[1]) == {
        "line": "job",
        "id": "00000000-0000-0000-0000-000000000007",
        "task": "task",
        "queue": "default",
        "state": "ready",
        "due": 10,
        "enqueued_at": 10,
        "payload": '{"to":"café"}',
        "result": {"base64": "/wA="},
    }


def _without_end(lines: list[bytes]) -> None:
    lines.pop()


def _one_less(lines: list[bytes]) -> None:
    del lines[2]


def _cut(lines: list[bytes]) -> None:
    lines[2:] = [lines[2][:40]]


def _blank(lines: list[bytes]) -> None:
    lines.insert(2, b"\n")


def _twice(lines: list[bytes]) -> None:
    lines += lines


def _two_headers(lines: list[bytes]) -> None:
    lines.insert(2, lines[0])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_without_end, "the file ends behind 2 jobs without its last line: it was cut off"),
        (_one_less, "line 3: 2 jobs were exported, and here are 1"),
        (_cut, "line 3 cannot be read"),
        (_blank, "line 3 cannot be read"),
        (_twice, "line 5 stands behind the end"),
        (_two_headers, "line 3: a second header"),
    ],
)
def test_a_damaged_file_is_refused_where_it_is_damaged(damage: Callable[[list[bytes]], None], sentence: str) -> None:
    lines = file_of(job(), job())
    damage(lines)
    _, records = jobfile.read(lines)
    with pytest.raises(ConfigurationError, match=sentence):
        list(records)


@pytest.mark.parametrize(
    "lines",
    [[], [b"\n"], [b"SQLite format 3\x00"], [b"\xff\xfe"], [b"[]"], file_of(job())[1:]],
    ids=["empty", "blank", "database", "no text", "list", "without a header"],
)
def test_what_is_no_export_is_refused_at_its_first_line(lines: list[bytes]) -> None:
    with pytest.raises(ConfigurationError, match="line 1"):
        jobfile.read(lines)


def test_a_format_of_the_future_is_refused() -> None:
    lines = file_of()
    lines[0] = lines[0].replace(b'"format":1', b'"format":2')
    with pytest.raises(ConfigurationError, match="format 2 of the file, and this comanda knows 1"):
        jobfile.read(lines)


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "7"},
        {"id": None},
        {"queue": ""},
        {"state": "done"},
        {"state": "failed"},
        {"due": "10"},
        {"due": 1.5},
        {"due": 2**63},
        {"priority": 101},
        {"attempt": -1},
        {"payload": {"base64": "%"}},
        {"payload": 5},
        {"attempts": [{"number": 1}]},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_job_that_no_store_would_have_written_is_refused(fields: dict[str, object]) -> None:
    """With the number of its line, and without what was in its arguments."""
    header, line, end = file_of(job(payload=b"s3cret"))
    broken = json.dumps({**json.loads(line), **fields}).encode()
    _, records = jobfile.read([header, broken, end])
    with pytest.raises(ConfigurationError, match=r"^line 2\b") as raised:
        list(records)
    assert "s3cret" not in str(raised.value)
