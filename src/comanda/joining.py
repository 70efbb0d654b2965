"""Waiting for the end of comanda's own threads."""

from __future__ import annotations

import contextlib
import threading


def join(thread: threading.Thread | None) -> None:
    """Wait until a thread that was told to end has ended; nothing without one, or on that thread itself.

    One whose start was interrupted by Ctrl-C cannot be joined (RuntimeError); it is a daemon and ends by itself.
    """
    if thread is not None and thread is not threading.current_thread():
        with contextlib.suppress(RuntimeError):
            thread.join()
