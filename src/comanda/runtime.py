"""What one process holds open for an app: its broker, and the threads that write, wait and keep alive.

Each part begins with its first use, once however many threads ask; after close() the next use begins anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from .arrivals import Arrivals
from .brokers.base import Broker
from .brokers.factory import Opening, open_broker
from .lookout import Lookout
from .outbox.base import Outbox
from .outbox.factory import open_outbox
from .producer import Producer
from .watcher import Watcher

if TYPE_CHECKING:
    from .clock import Clock
    from .membership import Membership
    from .settings import Settings


class _Part(Protocol):
    def close(self) -> None: ...

    def forget(self) -> None: ...


P = TypeVar("P", bound=_Part)


class Runtime:
    """The open parts of one app in this process."""

    def __init__(self, settings: Settings, clock: Clock | None) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.RLock()
        self._parts: dict[str, _Part] = {}

    @property
    def broker(self) -> Broker:
        """The broker. Raises ConfigurationError when no URL is set or it cannot be understood."""
        return self._part("broker", self._open_broker)

    @property
    def producer(self) -> Producer:
        """The write path."""
        made = self._parts.get("producer")  # first, since every enqueue asks
        if isinstance(made, Producer):
            return made
        return self._part("producer", lambda: Producer(self.broker, self._settings.deadline))

    @property
    def watcher(self) -> Watcher:
        """What waits for results."""
        return self._part("watcher", lambda: Watcher(self.broker))

    @property
    def arrivals(self) -> Arrivals:
        """What waits for messages."""
        return self._part("arrivals", lambda: Arrivals(self.broker))

    @property
    def lookout(self) -> Lookout:
        """What wakes workers, or relays, after somebody else's commit."""
        made = self._parts.get("lookout")
        if isinstance(made, Lookout):
            return made
        return self._part("lookout", lambda: Lookout(self.ledger))

    @property
    def outbox(self) -> Outbox | None:
        """The outbox, None without one. Raises ConfigurationError when its URL cannot be understood."""
        return self._part("outbox", self._open_outbox) if self._settings.outbox else None

    @property
    def ledger(self) -> Broker | Outbox:
        """Where a caller's transaction writes its jobs: the outbox if there is one, else the store itself."""
        made = self._parts.get("outbox" if self._settings.outbox else "broker")  # first, as for `producer`
        if made is not None:
            return cast(Broker | Outbox, made)
        return self.outbox or self.broker

    @property
    def membership(self) -> Membership:
        """What makes this process an owner while it consumes messages."""
        return self._part("membership", self._join)

    def close(self) -> None:
        """Let go of threads, connections and files: all of them, even if one cannot."""
        with self._lock:
            parts, self._parts = self._parts, {}
        _close(parts)

    def forget(self) -> None:
        """After a fork, in the child: inherited connections, threads and waiters are left alone (R23)."""
        self._lock = threading.RLock()
        for part in self._parts.values():
            part.forget()

    @contextmanager
    def replaced(self, broker: Broker, producer: Producer) -> Iterator[None]:
        """Work with these parts instead during the body, and with new ones of the other kinds: for the test kit."""
        with self._lock:
            before, self._parts = self._parts, {"broker": broker, "producer": producer}
        try:
            yield
        finally:
            with self._lock:
                used, self._parts = self._parts, before
            _close({name: part for name, part in used.items() if part not in before.values()})

    def _part(self, name: str, make: Callable[[], P]) -> P:
        part = self._parts.get(name)
        if part is None:
            with self._lock:
                part = self._parts.get(name)
                if part is None:
                    part = self._parts[name] = make()
        return cast(P, part)

    def _open_broker(self) -> Broker:
        settings = self._settings
        opening = Opening(namespace=settings.namespace, clock=self._clock, deadline=settings.deadline)
        return open_broker(settings.url, opening)

    def _open_outbox(self) -> Outbox:
        settings = self._settings
        opening = Opening(namespace=settings.namespace, clock=self._clock, deadline=settings.deadline)
        return open_outbox(settings.outbox, opening)

    def _join(self) -> Membership:
        from .membership import Membership

        return Membership(self.broker, self._settings)


def _close(parts: dict[str, _Part]) -> None:
    with ExitStack() as closing:
        for name in (
            "broker",
            "outbox",
            "producer",
            "lookout",
            "watcher",
            "membership",
            "arrivals",
        ):  # the last goes first
            if name in parts:
                closing.callback(parts[name].close)
