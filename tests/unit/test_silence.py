"""Who counts as silent, on the rescuer's own clock."""

from __future__ import annotations

from comanda.brokers.silence import Silence

LEASE = 10.0


def test_silence_is_measured_from_the_first_look() -> None:
    """Whatever the worker did before, this rescuer has seen nothing of it."""
    silence = Silence()
    assert silence.judge({1: 5}, 100.0, 100.0, LEASE) == []
    assert silence.judge({1: 5}, 109.9, 109.9, LEASE) == []
    assert silence.judge({1: 5}, 110.0, 110.0, LEASE) == [(1, 5)]


def test_a_beat_that_moves_starts_the_silence_anew() -> None:
    silence = Silence()
    silence.judge({1: 5}, 0.0, 0.0, LEASE)
    assert silence.judge({1: 6}, 15.0, 15.0, LEASE) == []
    assert silence.judge({1: 6}, 24.9, 24.9, LEASE) == []
    assert silence.judge({1: 6}, 25.0, 25.0, LEASE) == [(1, 6)]


def test_a_rescuer_that_was_stopped_in_its_look_buries_nobody_early() -> None:
    """It began to look at 0, was frozen for 20 s and read a beat of just now: the next look comes 2 s later."""
    silence = Silence()
    assert silence.judge({1: 7}, 0.0, 20.0, LEASE) == []
    assert silence.judge({1: 7}, 22.0, 22.0, LEASE) == []
    assert silence.judge({1: 7}, 30.0, 30.0, LEASE) == [(1, 7)]


def test_owners_that_are_gone_are_forgotten() -> None:
    """An owner is judged by its own beats: nothing is left of one that has ended."""
    silence = Silence()
    silence.judge({1: 5, 2: 5}, 0.0, 0.0, LEASE)
    assert silence.judge({2: 5}, 10.0, 10.0, LEASE) == [(2, 5)]
    assert silence.judge({1: 5}, 11.0, 11.0, LEASE) == []
