"""Serve Dev-Guro on any free port, which is printed first."""

from __future__ import annotations

from comanda.demo.api import api
from comanda.demo.server import Server, listen

with listen(0) as listener:
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - the test that started this reads it
    Server(api).run(sockets=[listener])
