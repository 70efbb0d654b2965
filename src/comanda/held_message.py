"""A message that this process holds until it says what became of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from . import outcome
from .brokers.records import Claimed, Kind, Outcome
from .clock import Micros
from .ids import to_text
from .retry import Retry

if TYPE_CHECKING:
    from .app import Comanda

T = TypeVar("T")

_log = logging.getLogger("comanda.messages")


class Held(Generic[T]):
    """A message this process holds for `owner`, since `began`."""

    def __init__(self, app: Comanda, owner: int, claimed: Claimed, value: T, began: Micros) -> None:
        self._app = app
        self._owner = owner
        self._claimed = claimed
        self._began = began
        self.value = value

    @property
    def id(self) -> str:
        """The message's id."""
        return to_text(self._claimed.id)

    def acknowledge(self) -> None:
        """The work is done: the message is gone."""
        self._settle(Outcome(self._claimed, Kind.SUCCESS, self._began, self._app.now()))

    def give_back(self) -> None:
        """Put it back as if it had not been taken."""
        self._settle(outcome.handed_back(self._claimed))

    def fail(self, error: Exception, retry: Retry) -> None:
        """The work raised: back or failed, as the policy says."""
        self._settle(outcome.raised(self._claimed, error, retry, self._began, self._app.now()))

    def _settle(self, done: Outcome) -> None:
        if not self._app.runtime.membership.settle(self._owner, done):
            _log.warning(
                "message %s of queue %s was taken from this process meanwhile (silent for too long, or app closed): "
                "it may be handled twice",
                self.id,
                self._claimed.queue,
            )
