"""Serve Dev-Guro on any free port, which is printed first."""

from __future__ import annotations

import uvicorn

from comanda.demo.api import api
from comanda.demo.run import listen

with listen(0) as listener:
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - the test that started this reads it
    uvicorn.Server(uvicorn.Config(api, log_level="warning", timeout_graceful_shutdown=2)).run(sockets=[listener])
