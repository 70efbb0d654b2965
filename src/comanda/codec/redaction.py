"""A stored payload, fit to be shown: the one place that the command line, logs and pages ask (S14)."""

from __future__ import annotations

from typing import Any

import msgspec

from ..secret import MASK
from .messages import RAW
from .results import BYTES_KEY
from .wire import CONTENT_TYPE, SECRET_KEY


def redacted(payload: bytes, content_type: str | None = None) -> Any:
    """The payload as plain JSON values, every Secret at any depth replaced by dots. Knows no task, and never raises.

    Bytes are shown as their number, "<bytes, 12>", and what cannot be read as a sentence in angle brackets. So is a
    payload of another content type than JSON's (None is JSON): only the codec that wrote it knows its secrets.
    """
    if content_type not in (None, CONTENT_TYPE):
        return f"<{content_type}, {len(payload)} bytes>"
    if payload.startswith(RAW):
        return f"<bytes, {len(payload) - len(RAW)}>"
    try:
        return _shown(msgspec.json.decode(payload))
    except RecursionError:
        return f"<nested too deeply to be shown, {len(payload)} bytes>"
    except ValueError:  # not JSON, or not UTF-8: most likely a codec of the task's own
        looks_like_json = payload[:1] in (b"{", b"[", b'"')
        return f"<damaged JSON, {len(payload)} bytes>" if looks_like_json else f"<bytes, {len(payload)}>"


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if not isinstance(value, dict):
        return value
    if SECRET_KEY in value:
        return MASK
    if value.keys() == {BYTES_KEY} and isinstance(value[BYTES_KEY], str):
        encoded = value[BYTES_KEY]
        return f"<bytes, {len(encoded) // 4 * 3 - encoded.count('=')}>"
    return {key: _shown(item) for key, item in value.items()}
