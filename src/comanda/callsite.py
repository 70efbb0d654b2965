"""Warnings that point at the user's line, however many of comanda's own lines lie between."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

_BETWEEN = ("comanda", "contextlib", "sqlalchemy", "greenlet")
"""Root packages whose frames are no call site of the user's."""


def warn(sentence: str) -> None:
    """Issue a RuntimeWarning at the line that called into comanda; Python shows it once for each such line."""
    level = 2
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(sentence, RuntimeWarning, stacklevel=level if frame is not None else 2)
