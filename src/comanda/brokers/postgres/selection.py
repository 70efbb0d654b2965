"""A JobFilter as SQL, and the job as it is shown: the row of `jobs` with the thin row beside it."""

from __future__ import annotations

from ..codes import FAILED, RUNNING, SCHEDULED, codes_of
from ..records import JobFilter, State
from .names import Names
from .wire import Value, int4s, moment, uuids

# A job has exactly one thin row. A ready one that was never changed stands where its enqueue put it, any other is found
# by the partial index. Indexes: the tables' own keys, ready_line, ready_changed.
SHOWN = """
FROM {ns}.jobs j
LEFT JOIN {ns}.done d ON d.n = j.n
LEFT JOIN {ns}.claimed c ON c.n = j.n
LEFT JOIN {ns}.scheduled s ON s.n = j.n
LEFT JOIN {ns}.parked p ON p.n = j.n
LEFT JOIN LATERAL (
    SELECT n, due, expires, fence, version, attempt, crashes FROM {ns}.ready
    WHERE queue = j.queue AND rank = j.rank AND due = coalesce(j.due, j.enqueued) AND ready.n = j.n AND version = 0
    UNION ALL
    SELECT n, due, expires, fence, version, attempt, crashes FROM {ns}.ready WHERE ready.n = j.n AND version > 0
) r ON d.n IS NULL AND c.n IS NULL AND s.n IS NULL AND p.n IS NULL
"""
STATE = """CASE WHEN d.n IS NOT NULL THEN d.state::integer WHEN c.n IS NOT NULL THEN 2 WHEN s.n IS NOT NULL THEN 0
     WHEN p.n IS NOT NULL THEN 7 ELSE 1 END"""

_TABLES = {SCHEDULED: "scheduled", RUNNING: "claimed", FAILED: "done WHERE state <> 3"}
_FEW = {
    State.SCHEDULED: SCHEDULED,
    State.RUNNING: RUNNING,
    State.FAILED: FAILED,
    State.CANCELLED: FAILED,
    State.EXPIRED: FAILED,
}
"""States whose jobs stand in a table of their own, or under an index of their own (done_badly)."""


class Condition:
    """The terms of a filter, and their parameters from `$1` on."""

    def __init__(self, names: Names, which: JobFilter) -> None:
        self._names = names
        self.terms: list[str] = []
        self.values: list[Value] = []
        self._add_ids(which)
        if which.states is not None:
            self._add_states(which.states)
        if which.tasks is not None:
            self.add("j.task = ANY ({}::integer[])", int4s(names.known_tasks(which.tasks)))
        if which.queues is not None:
            self.add("j.queue = ANY ({}::integer[])", int4s(names.known_queues(which.queues)))
        if which.since is not None:
            self.add("j.enqueued >= {}::timestamptz", moment(which.since))

    def add(self, term: str, *values: Value) -> None:
        """Narrow by one more term, with `{}` for each of its parameters."""
        first = len(self.values) + 1
        self.values += values
        self.terms.append(term.format(*(f"${first + place}" for place in range(len(values)))))

    @property
    def text(self) -> str:
        """The terms as one."""
        return " AND ".join(self.terms) or "true"

    def _add_ids(self, which: JobFilter) -> None:
        if which.ids is not None:
            self.add("j.id = ANY ({}::uuid[])", uuids(which.ids))
        if which.id_prefix is not None:
            bounds = _bounds(which.id_prefix)
            if bounds is None:
                self.add("false")
            else:
                self.add("j.id BETWEEN {}::uuid AND {}::uuid", *bounds)

    def _add_states(self, states: tuple[State, ...]) -> None:
        self.add(f"({STATE}) = ANY ({{}}::integer[])", int4s(codes_of(states)))
        if states and all(state in _FEW for state in states):
            places = sorted({_FEW[state] for state in states})
            few = " UNION ALL ".join(f"SELECT n FROM {{ns}}.{_TABLES[place]}" for place in places)
            self.terms.append(f"j.n IN ({few})")


def _bounds(prefix: str) -> tuple[bytes, bytes] | None:
    """Return the smallest and the largest id that starts with `prefix` (hex digits, dashes ignored); None for none."""
    digits = prefix.replace("-", "").lower()[:32]
    if not all(digit in "0123456789abcdef" for digit in digits):
        return None
    return bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))
