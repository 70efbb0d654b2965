"""The small parts: pauses, claim sizes, the channel, spawning."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from comanda.brokers.records import Claimed, Failure, Kind, Outcome
from comanda.worker import channel, messages, spawning
from comanda.worker.alarm import Alarm
from comanda.worker.backoff import Backoff
from comanda.worker.batching import CAP, HOLD, Batching
from comanda.worker.waiting import Waiting


def _job(number: int) -> Claimed:
    return Claimed(number, bytes(16), 1, 1, 0, "task", "default", b"\x00\xff", None, 0)


def _outcome(took: float) -> Outcome:
    return Outcome(_job(1), Kind.SUCCESS, 1_000_000, 1_000_000 + round(took * 1_000_000))


def test_pauses_grow_to_their_limit_and_begin_anew_after_a_success() -> None:
    backoff = Backoff(0.1, 1.0)
    pauses = [backoff.next() for _ in range(8)]
    for pause, longest in zip(pauses, [0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1], strict=True):
        assert longest / 2 <= pause <= longest
    backoff.reset()
    assert backoff.next() <= 0.1


def test_an_alarm_ends_one_wait_however_often_it_was_set() -> None:
    alarm = Alarm()
    alarm.set()
    alarm.set()
    assert alarm.wait(0)
    assert not alarm.wait(0)


def test_the_first_claim_takes_as_many_jobs_as_slots_are_idle() -> None:
    assert Batching().wanted(8, 5, 0) == 5


def test_claims_double_while_jobs_are_short_up_to_a_cap() -> None:
    sizes = Batching()
    wanted = [sizes.wanted(8, 8, 0)]
    sizes.ended([_outcome(0.000_003)])
    for _ in range(12):
        sizes.claimed(wanted[-1], wanted[-1])
        sizes._since = time.monotonic()
        wanted.append(sizes.wanted(8, 8, 0))
    assert wanted[:2] == [8, 8]
    assert wanted[-1] == CAP
    assert wanted == sorted(wanted)


@pytest.mark.parametrize(("took", "expected"), [(0.01, 40), (0.05, 8), (1.0, 8)])
def test_a_claim_holds_at_most_fifty_milliseconds_of_work(took: float, expected: int) -> None:
    sizes = Batching()
    sizes.ended([_outcome(took)])
    sizes._size = CAP
    assert sizes.wanted(8, 8, 0) == expected == max(8, round(8 * HOLD / took))


def test_short_jobs_are_claimed_only_when_all_others_have_begun() -> None:
    sizes = Batching()
    sizes.ended([_outcome(0.000_003)])
    assert sizes.wanted(8, 0, 1) == 0
    assert sizes.wanted(8, 0, 0) == 0


def test_longer_jobs_are_claimed_before_a_slot_is_idle() -> None:
    sizes = Batching()
    sizes.ended([_outcome(0.01)])
    assert sizes.wanted(8, 0, 7) == 33
    assert sizes.wanted(8, 0, 8) == 0


def test_a_batch_of_short_jobs_is_worth_one_thread_and_of_long_ones_all() -> None:
    sizes = Batching()
    assert sizes.threads_at_first(8) == 1  # nothing is known yet
    sizes.ended([_outcome(0.000_003)])
    assert sizes.threads_at_first(1000) == 1
    for _ in range(20):
        sizes.ended([_outcome(0.1)])
    assert sizes.threads_at_first(8) == 8


def test_messages_cross_a_channel_whole_and_in_order() -> None:
    ours, theirs = channel.pair()
    other = channel.Channel(theirs)
    outcome = Outcome(_job(3), Kind.FAILURE, 1, 2, b"\xff", Failure("E", "text"))
    sent: list[messages.Message] = [
        messages.Draining("slow", outcome),
        messages.Renewed(),
        messages.StopJobs(((1, 2), (3, 4))),
    ]
    for message in sent:
        assert ours.send(message)
    received: list[messages.Message] = []
    while len(received) < len(sent):
        received += other.receive()
    assert received == sent
    other.close()
    assert not ours.send(messages.Renewed())
    with pytest.raises(EOFError):
        ours.receive()
    ours.close()


def test_a_message_larger_than_one_read_arrives_whole() -> None:
    ours, theirs = channel.pair()
    other = channel.Channel(theirs)
    text = "x" * 150_000
    assert ours.send(messages.Refused(text, 2))
    received: list[messages.Message] = []
    while not received:
        received += other.receive()
    assert received == [messages.Refused(text, 2)]
    ours.close()
    other.close()


def test_the_first_message_arrives_whole_and_what_came_with_it_comes_next() -> None:
    ours, theirs = channel.pair()
    other = channel.Channel(theirs)
    large = messages.Refused("x" * 150_000, 2)

    def send() -> None:
        for message in (large, messages.Renewed()):
            ours.send(message)

    sender = threading.Thread(target=send)
    sender.start()
    assert other.first() == large
    assert other.receive() == [messages.Renewed()]
    sender.join()
    for _ in range(2):
        assert ours.send(messages.Renewed())
    assert other.first() == messages.Renewed()
    assert other.receive() == [messages.Renewed()]
    ours.close()
    other.close()


def test_waiting_jobs_are_taken_out_by_row_id_and_fence() -> None:
    line = Waiting()
    line.jobs.extend(_job(number) for number in range(3))
    assert [job.n for job in line.remove({(1, 1), (2, 9)})] == [1]
    assert [job.n for job in line.empty()] == [0, 2]
    assert line.empty() == []


def test_inside_a_server_that_embeds_python_the_interpreter_beside_the_packages_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert spawning._interpreter() == sys.executable
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    assert spawning._interpreter() == f"{sys.prefix}/bin/python3"


def test_directories_to_import_from_are_added_behind_the_existing_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/a", "/b"])
    spawning.extend_search(["/b", "/c"])
    assert sys.path == ["/a", "/b", "/c"]
