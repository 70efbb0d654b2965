"""What an outbox is: a table beside the application's own, written in its transactions and emptied by relays.

A row is one job, and leaves the table only after the broker has acknowledged it. A relay that dies in between repeats
itself harmlessly, since an id never makes a second job.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager

import msgspec
from msgspec import Struct

from ..brokers.records import NewJob
from ..brokers.statements import Statement
from ..clock import Micros

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(NewJob)


class Row(Struct, frozen=True, gc=False):
    """A job that waits. `waited` counts by the clock of its database."""

    id: bytes
    job: bytes
    waited: Micros

    def decode(self) -> NewJob:
        """Return the job, its delay less what has passed of it; raises msgspec.DecodeError when it is damaged."""
        job = _decoder.decode(self.job)
        if not job.delay:
            return job
        return msgspec.structs.replace(job, delay=max(0, job.delay - max(0, self.waited)))


class Refusal(Struct, frozen=True, gc=False):
    """A job that the broker did not take, and why. `sentence` carries no argument of the job."""

    id: bytes
    sentence: str


class Status(Struct, frozen=True, gc=False):
    """What stands in an outbox: how many jobs wait, for how long the first of them, and some that were set aside."""

    waiting: int
    oldest: Micros
    set_aside: int
    refusals: list[Refusal]


class Outbox(ABC):
    """Thread-safe. Every verb has a deadline and raises BrokerUnavailable or BrokerTimeout, never a driver's error."""

    name: str
    """Its table, as an operator would write it."""
    address: str
    """Where it is, without a password."""

    @abstractmethod
    def open(self) -> None:
        """Connect and see to the table. Idempotent; every other verb does it by need."""

    @abstractmethod
    def close(self) -> None:
        """Let go of connections and files; the next verb opens again."""

    @abstractmethod
    def forget(self) -> None:
        """After a fork, in the child: drop everything inherited without closing it (R23)."""

    @abstractmethod
    def enqueue_statements(self, job: NewJob) -> list[Statement]:
        """Return the insert of one job for the caller's own connection, as `Broker.enqueue_statements` does."""

    @abstractmethod
    def existing(self, ids: Sequence[bytes]) -> Collection[bytes]:
        """Return the ids that wait here: what a lookout asks after a commit."""

    @abstractmethod
    def ring(self) -> None:
        """Tell relays that something was committed."""

    # -- relaying -----------------------------------------------------------------------------------------------

    @abstractmethod
    def turn(self) -> AbstractContextManager[bool]:
        """Yield whether this relay alone may move rows during the body: that keeps their order."""

    @abstractmethod
    def take(self, limit: int) -> list[Row]:
        """Return the first rows that wait, in their order. They stay."""

    @abstractmethod
    def settle(self, moved: Collection[bytes], refused: Sequence[Refusal]) -> None:
        """Remove the jobs that the broker has, and set those aside that it refused: they hold up nobody."""

    @abstractmethod
    def wait(self, timeout: float) -> None:
        """Come back when something may have been committed, after a wake(), or after `timeout` seconds."""

    @abstractmethod
    def wake(self) -> None:
        """Make the waits of this process return now."""

    @abstractmethod
    def maintain(self) -> None:
        """Do the housekeeping of the database that its relay owes, called about once a second."""

    @abstractmethod
    def status(self) -> Status:
        """Return what stands in it."""


def encode(job: NewJob) -> bytes:
    """Return a job as its row carries it."""
    return _encoder.encode(job)
