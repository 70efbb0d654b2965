"""A JobFilter as SQL.

The planner uses a partial index only when its condition stands in the query as a literal term (SQ4), so states are
written as literals and the condition of `ended_badly` is repeated word for word.
"""

from __future__ import annotations

from typing import Any

from .. import codes
from ..records import JobFilter
from .exchange import batch_of
from .session import Session

_BADLY = {codes.FAILED, codes.CANCELLED, codes.EXPIRED}
_NUMBER = "SELECT n FROM {ns}_jobs WHERE id = ?"


def condition(session: Session, which: JobFilter) -> tuple[str, list[Any]]:
    """Return the condition over `jobs` and its parameters."""
    terms: list[str] = []
    values: list[Any] = []
    if which.ids is not None:
        terms.append("n IN (SELECT value FROM json_each(?))")
        values.append(batch_of([row[0] for id_ in which.ids for row in session.run(_NUMBER, (id_,))]))
    if which.id_prefix is not None:
        terms.append("id BETWEEN ? AND ?")
        values += _bounds(which.id_prefix)
    if which.states is not None:
        terms += _states(which)
    for column, table, names in (("task", "tasks", which.tasks), ("queue", "queues", which.queues)):
        if names is not None:
            marks = ",".join("?" * len(names))
            terms.append(f"{column} IN (SELECT n FROM {{ns}}_{table} WHERE name IN ({marks}))")
            values += names
    if which.since is not None:
        terms.append("enqueued >= ?")
        values.append(which.since)
    return " AND ".join(terms) or "TRUE", values


def _states(which: JobFilter) -> list[str]:
    wanted = codes.codes_of(which.states or ())
    terms = ["state BETWEEN 4 AND 6"] if wanted and _BADLY.issuperset(wanted) else []
    if len(wanted) == 1:
        return [*terms, f"state = {wanted[0]}"]
    return [*terms, f"state IN ({', '.join(map(str, wanted))})"]


def _bounds(prefix: str) -> list[bytes]:
    """Return the smallest and the largest id that starts with `prefix` (hex digits, dashes ignored)."""
    digits = prefix.replace("-", "").lower()[:32]
    if not all(digit in "0123456789abcdef" for digit in digits):
        return [b"\xff" * 16, b""]
    return [bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))]
