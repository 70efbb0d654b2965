"""A message that this process holds until it says what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast

from . import outcome
from .brokers.records import Claimed, Kind, Outcome
from .codec import UndecodablePayload, ValueCodec
from .ids import to_text
from .retry import Retry

if TYPE_CHECKING:
    from .app import Comanda

T = TypeVar("T")


class Held(Generic[T]):
    """A message this process holds."""

    def __init__(self, app: Comanda, owner: int, claimed: Claimed, codec: ValueCodec) -> None:
        self._app = app
        self._owner = owner
        self._claimed = claimed
        self._began = app.now()
        try:
            self.value = cast(T, codec.decode(claimed.payload))
        except UndecodablePayload as error:
            self._settle(outcome.undecodable(claimed, str(error), app.now()))
            raise

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

    def fail(self, error: BaseException, retry: Retry) -> None:
        """The work raised: back or failed, as the policy says."""
        self._settle(outcome.raised(self._claimed, error, retry, self._began, self._app.now()))

    def _settle(self, done: Outcome) -> None:
        self._app.membership.settle(self._owner, done)
