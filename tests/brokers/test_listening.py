"""How the threads of one process share a listener, without a store."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from comanda.brokers.listening import Listening

LONG = 20.0


class Silence(Listening):
    """Hears nothing but what this process rings, and notes whom that woke."""

    def __init__(self) -> None:
        super().__init__(("work", "change"))
        self.asleep = threading.Event()
        self.sent: list[bytes] = []

    def _hear(self, topic: str, timeout: float) -> tuple[str, ...]:
        if timeout:
            self.asleep.set()
        self._await(timeout)
        return ()

    def _let_go(self) -> None:
        """Nothing is open."""

    def _send(self, what: bytes) -> None:
        self.sent.append(what)
        super()._send(what)


@pytest.fixture
def silence() -> Iterator[Silence]:
    made = Silence()
    yield made
    made.close()


def test_a_ring_of_this_process_wakes_those_who_wait_for_its_topic_and_nobody_else(silence: Silence) -> None:
    def wait() -> None:
        silence.wait("change", 0)  # the first one of a thread returns at once
        silence.wait("change", LONG)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert silence.asleep.wait(LONG)
    silence.heard("work")
    assert silence.sent == []
    silence.heard("change")
    assert len(silence.sent) == 1
    waiting.join(LONG)
    assert not waiting.is_alive()


def test_a_ring_that_nobody_waited_for_ends_the_next_wait(silence: Silence) -> None:
    silence.wait("work", 0)
    silence.heard("work")
    silence.wait("work", LONG)
    assert not silence.asleep.is_set()
