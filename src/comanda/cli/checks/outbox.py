"""Whether jobs leave the outbox."""

from __future__ import annotations

from collections.abc import Iterator

from ...app import Comanda
from ...clock import SECOND
from ...ids import to_text
from ..times import length
from .finding import Finding, ok, problem

LATE = 60 * SECOND
"""Age of a row, in microseconds, at which nobody seems to move it: a relay looks every second."""


def outbox(app: Comanda, app_path: str | None) -> Iterator[Finding]:
    """Look at what waits in the outbox and what was set aside. `app_path` completes the command that mends it."""
    found = app.runtime.outbox
    if found is None:
        return
    status = found.status()
    jobs = f"{status.waiting:,} job{'' if status.waiting == 1 else 's'} in {found.name} ({found.address})"
    if status.waiting and status.oldest > LATE:
        yield problem(
            "outbox",
            f"{jobs}, the first for {length(status.oldest)}: no worker moves them to the store",
            f"comanda worker {app_path or 'APP'}",
        )
    else:
        yield ok("outbox", jobs)
    for refusal in status.refusals:
        yield problem(
            "outbox",
            f"job {to_text(refusal.id)} was set aside: {refusal.sentence}",
            f"mend the cause, then set the column error of {found.name} to NULL (it is tried again), or delete the row",
        )
    if status.set_aside > len(status.refusals):
        more = status.set_aside - len(status.refusals)
        yield problem("outbox", f"{more:,} more were set aside", f"see the column error of {found.name}")
