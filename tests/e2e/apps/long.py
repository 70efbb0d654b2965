"""Work that takes long and holds the interpreter all the while."""

from __future__ import annotations

import time

from comanda import Comanda, current_job

app = Comanda()


@app.task
def crunch(seconds: float) -> int:
    """Compute for `seconds`; return the attempt's number."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1_000))
    return current_job().attempt
