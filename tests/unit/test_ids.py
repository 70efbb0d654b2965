"""Public job ids: UUIDv7, ascending, and never the same in two processes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID, uuid4

import pytest

from comanda.errors import ConfigurationError
from comanda.ids import from_text, new_ids, to_text
from tests.brokers.sqlite_files import in_child


def test_ids_are_uuids_of_version_7() -> None:
    for made in new_ids(5000):
        read = UUID(bytes=made)
        assert (read.version, read.variant) == (7, RFC_4122)
        assert from_text(to_text(made)) == from_text(read) == made


def test_ids_ascend_through_batches_of_any_size() -> None:
    """More of them than a millisecond has numbers, and more than the supply of noise has bytes."""
    made = [job_id for size in (1, 1, 7, 5000, 1, 300) for job_id in new_ids(size)]
    assert made == sorted(set(made))


def test_threads_get_different_ids() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [job_id for ids in pool.map(new_ids, [3] * 2000) for job_id in ids]
    assert len(set(made)) == 6000


def test_a_forked_process_has_noise_of_its_own() -> None:
    """It inherits the numbers and would give out its parent's ids, were it not for the random bits behind them."""
    new_ids(1)
    mine: list[bytes] = []
    theirs = in_child(lambda: " ".join(job_id.hex() for job_id in new_ids(20)), lambda: mine.extend(new_ids(20)))
    tails = {job_id.hex()[16:] for job_id in mine}
    assert len(tails) == 20
    assert tails.isdisjoint(text[16:] for text in theirs.split())


def test_a_clock_that_steps_back_does_not_turn_the_order_around(monkeypatch: pytest.MonkeyPatch) -> None:
    (earlier,) = new_ids(1)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    (later,) = new_ids(1)
    assert later > earlier


def test_an_id_may_be_given_in_any_of_its_usual_forms() -> None:
    (made,) = new_ids(1)
    text = to_text(made)
    assert text == str(UUID(bytes=made))
    assert {from_text(form) for form in (text, text.upper(), text.replace("-", ""), UUID(text))} == {made}


def test_any_uuid_may_be_a_jobs_id() -> None:
    """Whoever brings an id of his own need not know about version 7."""
    own = uuid4()
    assert from_text(own) == own.bytes


@pytest.mark.parametrize("nonsense", ["", "42", "not-an-id", "g" * 36, None, 7, b"\x00" * 16])
def test_what_is_no_id_is_refused_with_an_example(nonsense: object) -> None:
    with pytest.raises(ConfigurationError, match=r"is not a job id \(36 characters such as 00000000-"):
        from_text(nonsense)  # type: ignore[arg-type]
