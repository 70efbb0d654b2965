"""Transactional completion: a task's own writes and its completion, committed together (guarantee 6, R44).

Each is a connection of its own, apart from those the broker settles and claims on: they go on while a task runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from .records import Outcome


class Completion(ABC):
    """The transactions of synchronous tasks, one after the other; used by one thread at a time."""

    @property
    @abstractmethod
    def is_begun(self) -> bool:
        """True from `begin` to the end of that transaction."""

    @abstractmethod
    def begin(self) -> Any:
        """Return the driver's connection with an open transaction, which the first call begins.

        Raises BrokerUnavailable or BrokerTimeout.
        """

    @abstractmethod
    def complete(self, owner: int, outcome: Outcome) -> bool:
        """Write a success on that connection and commit; False when the job has moved on: then all is rolled back.

        Raises ConfigurationError when the task has ended the transaction itself, BrokerError when the store fails:
        nothing was committed, unless `may_have_written`.
        """

    @abstractmethod
    def roll_back(self) -> None:
        """Undo what the task wrote, if it began. Never raises: what cannot be undone now ends with the connection."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the connection."""


class AsyncCompletion(ABC):
    """The same for coroutines, used by one at a time and always on one event loop."""

    @property
    @abstractmethod
    def is_begun(self) -> bool:
        """True from the first use of `begin` to the end of that transaction."""

    @abstractmethod
    async def open(self) -> None:
        """Connect, if need be: `begin` cannot wait."""

    @abstractmethod
    def begin(self) -> Any:
        """Return the driver's connection, whose next statement is inside a transaction."""

    @abstractmethod
    async def complete(self, owner: int, outcome: Outcome) -> bool:
        """As `Completion.complete`."""

    @abstractmethod
    async def roll_back(self) -> None:
        """As `Completion.roll_back`."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the connection."""
