"""The slow step of Dev-Guro: the technologies named in a developer's log."""

from __future__ import annotations

from .offline import extract_offline

__all__ = ["extract"]


def extract(entry: str) -> list[str]:
    """Return the technologies named in `entry`, in order of first appearance, without doubles."""
    return extract_offline(entry)
