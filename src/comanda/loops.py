"""Blocking verbs on a thread that runs an event loop stop every other coroutine of it: say so (design section 3)."""

from __future__ import annotations

import asyncio
import os

from . import callsite
from .errors import ConfigurationError

running_loop = asyncio._get_running_loop
"""Returns the loop that runs on this thread, None without one; in C, for those who ask at each enqueue."""


def forbid_in_loop(verb: str, twin: str) -> None:
    """Warn once per call site when a loop runs on this thread; raise ConfigurationError in tests and `comanda dev`."""
    if running_loop() is None:
        return
    sentence = f"{verb}() blocks the event loop of this thread: await {twin}() instead"
    if "PYTEST_CURRENT_TEST" in os.environ or "COMANDA_DEV" in os.environ:
        raise ConfigurationError(sentence)
    callsite.warn(sentence)
