"""What operators do to jobs: in steps, so that no script holds up the server for long."""

from __future__ import annotations

from ...errors import ConfigurationError
from ..records import LIVE_STATES, TERMINAL_STATES, JobFilter, State
from ..rules import actor, no_such_queue
from . import records
from .selection import Selection
from .store import Store

_WAITING = (State.SCHEDULED, State.READY)


def cancel(store: Store, which: JobFilter) -> list[bytes]:
    """End waiting jobs, ask running ones to stop."""
    return _operate(store, which, "cancel", LIVE_STATES)


def retry(store: Store, which: JobFilter) -> list[bytes]:
    """Make ended jobs ready again."""
    return _operate(store, which, "retry", TERMINAL_STATES)


def reschedule(store: Store, which: JobFilter, due: int) -> list[bytes]:
    """Give waiting jobs a new due time."""
    return _operate(store, which, "reschedule", _WAITING, due)


def delete(store: Store, which: JobFilter) -> int:
    """Remove jobs that are not running."""
    return len(_operate(store, which, "delete", (*_WAITING, *TERMINAL_STATES)))


def pause(store: Store, queue: str, *, paused: bool) -> None:
    """Stop or resume handing out jobs of one queue; raise ConfigurationError when there is none of this name."""
    if not store.write("pause", [queue, int(paused)]):
        raise ConfigurationError(no_such_queue(queue))


def _operate(store: Store, which: JobFilter, verb: str, states: tuple[State, ...], due: int = 0) -> list[bytes]:
    """Select matching jobs page by page, by id so that skipped ones cannot starve the rest (R20), and change them."""
    wanted = [state for state in states if which.states is None or state in which.states]
    codes, who = records.encode(records.codes(wanted)), records.encode(actor())
    done: list[bytes] = []
    for ids in Selection(store, which).steps(None):
        if ids:
            done += store.write("operate", [store.now(), verb, codes, due, who, *ids])
    return done
