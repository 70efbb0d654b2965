"""The verbs as Lua: a file each in `scripts/`, behind what they share in `common.lua`."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from msgspec import Struct


class Script(Struct, frozen=True, gc=False):
    """A script as the server knows it: by its SHA-1 once it has seen the text (RD3)."""

    text: bytes
    sha: bytes


_WORKING = (
    *("register", "unpark", "beat", "bury", "park", "expire"),
    *("operate", "pause", "trim", "prune", "index_finished"),
)
_FILES = {"exchange": ("full", "settle", "claim"), **{verb: ("full", verb) for verb in _WORKING}}
"""Verbs whose script is more than the file of their name."""


@cache
def script(verb: str) -> Script:
    """Return the script of a verb."""
    folder = files(__package__) / "scripts"
    names = ("common", *_FILES.get(verb, (verb,)))
    text = b"".join(folder.joinpath(f"{name}.lua").read_bytes() for name in names)
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())
