"""Waiting for the end of comanda's own threads."""

from __future__ import annotations

import threading

from comanda.joining import join


def test_a_thread_that_ends_is_waited_for() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    join(thread)
    assert not thread.is_alive()


def test_a_thread_whose_start_was_interrupted_stops_nobody() -> None:
    """Ctrl-C inside `start()` leaves a thread that Python refuses to join (seen on 3.13)."""
    join(threading.Thread(target=lambda: None))


def test_no_thread_and_the_own_thread_are_not_waited_for() -> None:
    join(None)
    join(threading.current_thread())
