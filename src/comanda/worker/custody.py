"""What a supervisor does at the store for its children: renews their leases and hands back what a dead one held."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from ..brokers.factory import Opening, open_broker
from ..brokers.records import Beat
from ..outbox.base import Outbox
from ..outbox.factory import open_outbox
from ..outbox.relay import Relay
from ..settings import Settings
from . import messages, presence
from .places import ChildProcess
from .upkeep import Upkeep, handed_back


class Custody:
    """The leases of one worker's children, from their reports to their burials."""

    def __init__(self, settings: Settings) -> None:
        """Open the store; raises BrokerError, ConfigurationError when the outbox cannot be."""
        self._broker = open_broker(settings.url, Opening(namespace=settings.namespace, supervisor=True))
        self._broker.open()
        self._heart = open_broker(settings.url, Opening(namespace=settings.namespace, supervisor=True))
        self._directory = self._broker.runtime_directory()
        self._children: dict[int, ChildProcess] = {}
        self._outbox = _open_outbox(settings)
        self._relay = None if self._outbox is None else Relay(self._outbox, self._broker)
        self._upkeep = Upkeep(self._broker, self._heart, settings, self._owners, self._pass_on)
        self._upkeep.start()
        if self._relay is not None:
            self._relay.start()

    def add(self, child: ChildProcess) -> None:
        """Renew the lease of a child that has just reported its owner id."""
        if child.owner is not None:
            self._children[child.owner] = child

    def bury(self, child: ChildProcess) -> str:
        """Hand back what a dead child held; return the words for it. Raises BrokerError: then call it again later.

        Only jobs that had started are charged with a crash (R51), none after an orderly end; when the child was killed
        for a job that overran its limit, that one alone.
        """
        if child.owner is None:
            return "it held no jobs"
        if child.overrun is not None:
            self._broker.settle(child.owner, [child.overrun])  # refused if the child got to write it after all
        started = self._charged(child)
        jobs = self._broker.release(child.owner, started)
        presence.remove(self._directory, child.owner)
        del self._children[child.owner]
        return handed_back(jobs, jobs if started is None else len(started))

    def overdue(self, child: ChildProcess, seconds: float) -> set[int]:
        """Return the row ids of jobs that overran their limits by `seconds` without a word from the child."""
        if child.owner is None:
            return set()
        return presence.overdue(self._directory, child.owner, int((time.monotonic() - seconds) * 1_000_000))

    def close(self) -> None:
        """Stop relaying, renewing and rescuing, and let go of the stores."""
        if self._relay is not None:
            self._relay.stop()
        if self._outbox is not None:
            self._outbox.close()
        self._upkeep.stop()
        self._heart.close()
        self._broker.close()

    def _charged(self, child: ChildProcess) -> Collection[int] | None:
        if child.leaving:
            return ()
        if child.overdue:
            return child.overdue
        return presence.started_of(self._directory, child.owner or 0)

    def _owners(self) -> Sequence[int]:
        return list(self._children)

    def _pass_on(self, beat: Beat) -> None:
        for owner, child in list(self._children.items()):
            if owner in beat.lost:
                child.channel.send(messages.Lost())
                continue
            child.channel.send(messages.Renewed())
            if beat.stop:
                child.channel.send(messages.StopJobs(tuple(beat.stop)))


def _open_outbox(settings: Settings) -> Outbox | None:
    if not settings.outbox:
        return None
    return open_outbox(settings.outbox, Opening(namespace=settings.namespace, supervisor=True))
