"""States as the SQL brokers keep them: small integers."""

from __future__ import annotations

from .records import State

SCHEDULED, READY, RUNNING, SUCCESSFUL, FAILED, CANCELLED, EXPIRED, PARKED = range(8)

TO_STATE = {
    SCHEDULED: State.SCHEDULED,
    READY: State.READY,
    RUNNING: State.RUNNING,
    SUCCESSFUL: State.SUCCESSFUL,
    FAILED: State.FAILED,
    CANCELLED: State.CANCELLED,
    EXPIRED: State.EXPIRED,
    PARKED: State.READY,
}


def codes_of(states: tuple[State, ...]) -> list[int]:
    """Return every code that is shown as one of `states`."""
    return [code for code, state in TO_STATE.items() if state in states]
