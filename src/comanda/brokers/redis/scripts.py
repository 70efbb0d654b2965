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


@cache
def script(verb: str) -> Script:
    """Return the script of a verb."""
    folder = files(__package__) / "scripts"
    text = folder.joinpath("common.lua").read_bytes() + folder.joinpath(f"{verb}.lua").read_bytes()
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest().encode())
