"""The process that looks after a worker's children and runs no user code (R12): `comanda worker`.

It does not import the app. The first child does, and reports what there is to know. From then on the supervisor renews
the leases of all its children, hands back at once what a dead one held, starts the next one, and rescues the jobs of
other workers that died.
"""

from __future__ import annotations

import functools
import logging
import selectors
import signal
import socket
import sys
import time
from typing import Any

from .. import logs
from ..errors import BrokerError, ComandaError
from . import messages
from .channel import Channel, inherited
from .custody import Custody
from .deadlines import PATIENCE
from .places import ChildProcess, Place

TICK = 0.5
"""Seconds between two looks at what no event tells: children that hang, time limits that they cannot enforce."""

MARGIN = 3.0
"""Seconds that a child gets beyond its grace time before it is killed."""

OVERDUE = PATIENCE + 0.5
"""Seconds after a time limit when a child that said nothing of it is killed: its task holds the interpreter's lock."""

_log = logging.getLogger("comanda.worker")


class Supervisor:
    """Does `work` until a signal, the end of `parent` or, for a burst, until all is done."""

    def __init__(self, work: messages.Work, parent: Channel | None = None) -> None:
        self._work = work
        self._places = [Place()]
        self._children: list[ChildProcess] = []
        self._unburied: list[ChildProcess] = []
        self._custody: Custody | None = None
        self._grace = 0.0 if work.grace is None else work.grace
        self._signals = 0
        self._answered = 0
        self._stopping = False
        self._code = 0
        self._selector = selectors.DefaultSelector()
        self._listening, self._waking = socket.socketpair()
        self._waking.setblocking(False)
        self._selector.register(self._listening, selectors.EVENT_READ, lambda: self._listening.recv(4096))
        if parent is not None:
            self._selector.register(parent, selectors.EVENT_READ, functools.partial(self._hear_parent, parent))

    def run(self) -> int:
        """Work; return the exit code: 0 after an orderly end, 2 when the app cannot be loaded, 3 without its store."""
        logs.configure(self._work.log_level or "INFO")
        signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            self._look_after()
            while not self._is_over():
                for key, _ in self._selector.select(TICK):
                    key.data()
                self._look_after()
        finally:
            self._close()
        return self._code

    # -- looking after ------------------------------------------------------------------------------------------

    def _look_after(self) -> None:
        self._answer_signals()
        for child in list(self._children):
            if child.is_dead():
                self._on_death(child)
            elif time.monotonic() >= child.kill_at:
                _log.error("child %d did not end in time and is killed", child.pid)
                child.kill()
            elif not child.draining:
                self._enforce_limits(child)
        for child in list(self._unburied):
            self._bury(child)
        for place in self._places:
            if place.child is None and not place.done and place.due <= time.monotonic():
                self._start(place)

    def _start(self, place: Place) -> None:
        child = place.child = ChildProcess(self._work)
        self._children.append(child)
        self._selector.register(child.channel, selectors.EVENT_READ, functools.partial(self._hear, child))
        if child.pidfd is not None:
            self._selector.register(child.pidfd, selectors.EVENT_READ, lambda: None)  # the next look finds it dead

    def _enforce_limits(self, child: ChildProcess) -> None:
        """Kill a child whose time limit passed without its noticing: its task does not let go of the interpreter."""
        if self._custody is not None and (overdue := self._custody.overdue(child, OVERDUE)):
            child.overdue = overdue
            _log.error("child %d is frozen by a task beyond its time limit and is killed", child.pid)
            child.kill()

    def _on_death(self, child: ChildProcess) -> None:
        for watched in (child.channel, child.pidfd):
            if watched is not None and watched in self._selector.get_map():
                self._selector.unregister(watched)
        self._hear_last_words(child)
        child.close()
        self._children.remove(child)
        self._bury(child)
        place = next((place for place in self._places if place.child is child), None)
        if place is not None:
            self._replace(place, child)

    def _replace(self, place: Place, child: ChildProcess) -> None:
        pause = place.vacate()
        if self._work.burst and child.leaving:
            place.done = True
        if place.done:
            return
        if self._custody is None and (child.refused is not None or child.process.returncode >= 0):
            self._give_up(child)
            return
        reason = child.how_it_ended() if child.refused is None else child.refused.sentence
        when = "now" if not pause else f"in {pause:.1f} s"
        _log.log(
            logging.INFO if child.leaving else logging.ERROR,
            *("child %d ended (%s); the next one starts %s", child.pid, reason, when),
        )

    def _give_up(self, child: ChildProcess) -> None:
        """The first child could not begin: trying again would only say so again."""
        refused = child.refused or messages.Refused(
            f"{self._work.app} ended its process while it was imported ({child.how_it_ended()})", 2
        )
        self._refuse(refused.sentence, refused.code)

    def _refuse(self, sentence: str, code: int) -> None:
        sys.stderr.write(f"comanda: {sentence}\n")
        self._code = code
        self._stop(0.0)

    def _bury(self, child: ChildProcess) -> None:
        if self._custody is None:
            return
        try:
            words = self._custody.bury(child)
        except BrokerError as error:
            if child not in self._unburied:
                self._unburied.append(child)
                _log.error("the jobs of child %d cannot be handed back yet: %s", child.pid, error)
            return
        if child in self._unburied:
            self._unburied.remove(child)
        if child.ready is not None and not child.leaving:
            _log.error("child %d died (%s): %s", child.pid, child.how_it_ended(), words)

    # -- listening ----------------------------------------------------------------------------------------------

    def _hear(self, child: ChildProcess) -> None:
        try:
            received = child.channel.receive()
        except EOFError:
            self._selector.unregister(child.channel)
            return
        for message in received:
            self._heed(child, message)

    def _hear_last_words(self, child: ChildProcess) -> None:
        try:
            while True:
                for message in child.channel.receive():
                    self._heed(child, message)
        except EOFError:
            return

    def _heed(self, child: ChildProcess, message: messages.Message) -> None:
        if isinstance(message, messages.Ready):
            child.ready = message
            self._on_ready(child, message)
        elif isinstance(message, messages.Refused):
            child.refused = message
        elif isinstance(message, messages.Leaving):
            child.leaving = True
        elif isinstance(message, messages.Draining):
            self._on_draining(child, message)

    def _on_ready(self, child: ChildProcess, ready: messages.Ready) -> None:
        try:
            self._custody = self._custody or self._open(ready)
        except ComandaError as error:
            self._refuse(str(error), 3 if isinstance(error, BrokerError) else 2)
            return
        self._custody.add(child)
        _log.info("child %d is at work as worker %d", child.pid, ready.owner)

    def _open(self, ready: messages.Ready) -> Custody:
        settings = ready.settings
        logs.configure(self._work.log_level or settings.log_level)
        custody = Custody(settings)
        if self._work.grace is None:
            self._grace = settings.grace
        processes = self._work.processes or settings.processes
        self._places += [Place() for _ in range(processes - 1)]
        _log.info(
            "%s works on %s: %d tasks, %d processes with %d slots each, queues: %s",
            *(self._work.app, ready.store["store"], len(ready.tasks), processes),
            *(self._work.concurrency or settings.concurrency, ", ".join(self._work.queues or ("all",))),
        )
        if "warning" in ready.store:
            _log.warning("%s", ready.store["warning"])
        return custody

    def _on_draining(self, child: ChildProcess, message: messages.Draining) -> None:
        child.draining = True
        child.overrun = message.overrun
        if message.overrun is not None:
            child.kill_at = min(child.kill_at, time.monotonic() + self._grace + MARGIN)
        _log.warning("child %d takes no more jobs, another one takes over: %s", child.pid, message.reason)
        for place in self._places:
            if place.child is child:
                place.vacate(at_once=True)

    def _hear_parent(self, parent: Channel) -> None:
        try:
            parent.receive()
        except EOFError:
            self._selector.unregister(parent)
            self._stop(self._grace)

    def _on_signal(self, number: int, frame: Any) -> None:
        self._signals += 1

    # -- the end ------------------------------------------------------------------------------------------------

    def _answer_signals(self) -> None:
        """The first one means within the grace time, any further one means now."""
        signals = self._signals
        if signals > self._answered:
            first = signals == 1 and not self._stopping
            self._answered = signals
            self._stop(self._grace if first else 0.0)

    def _stop(self, grace: float) -> None:
        if not self._stopping and self._custody is not None:
            _log.info("stopping: running jobs have %g s to finish", grace)
        self._stopping = True
        for place in self._places:
            place.done = True
        for child in self._children:
            if child.ready is None:
                child.kill()  # it is still importing the app: it holds nothing
            else:
                child.stop(grace, MARGIN)

    def _is_over(self) -> bool:
        return not self._children and all(place.done for place in self._places)

    def _close(self) -> None:
        if self._custody is not None:
            self._custody.close()
        self._selector.close()
        self._listening.close()
        self._waking.close()


def main(descriptor: int) -> int:
    """Be the supervisor of an embedded worker; return the exit code."""
    parent = inherited(descriptor)
    work = parent.first()
    if not isinstance(work, messages.Work):
        raise TypeError(f"expected to be told what to do, got {type(work).__name__}")
    return Supervisor(work, parent).run()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
