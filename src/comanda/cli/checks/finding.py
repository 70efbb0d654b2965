"""What a check found."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Level(StrEnum):
    """How bad it is. Hints do not count."""

    OK = "ok"
    HINT = "hint"
    PROBLEM = "problem"


class Finding(Struct, frozen=True):
    """One sentence about one thing, and what to do about it ('' when there is nothing to do)."""

    check: str
    level: Level
    message: str
    fix: str = ""


def ok(check: str, message: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Level.OK, message)


def hint(check: str, message: str, fix: str) -> Finding:
    """Return something worth knowing."""
    return Finding(check, Level.HINT, message, fix)


def problem(check: str, message: str, fix: str) -> Finding:
    """Return something that is wrong."""
    return Finding(check, Level.PROBLEM, message, fix)
