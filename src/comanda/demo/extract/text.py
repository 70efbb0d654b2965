"""A dev log as tokens: words, signs and the gaps between them."""

from __future__ import annotations

import re

# Addresses name hosts and people, not technologies. Each pattern is bounded or starts at the start of a chunk, so that
# a megabyte without any space is read a fixed number of times.
_ADDRESS = re.compile(r"\b[a-z]{2,10}://\S+|\bwww\.\S+|(?<!\S)[^\s@]+@\w\S*", re.IGNORECASE)

# Signs that occur in names stand alone; the others come as runs, so that a megabyte of brackets is one token.
_TOKEN = re.compile(r"\w+|\s+|[-.,:+#/&'!@`$]|[^\w\s.,:+#/&'!@`$-]+")

_SAME_SIGN = str.maketrans({"’": "'", "‑": "-", "\u00ad": None})  # noqa: RUF001 - typographic apostrophe and hyphen

SPACE, NEWLINE, HYPHEN = " ", "\n", "-"
_SENTENCE_ENDS = frozenset(".!?:;…•*–—")  # noqa: RUF001 - dashes open list items
_OPENING = frozenset("\"'`([{„“«»")
_CLOSING = frozenset("\"')]}“”«»")
_MOST_OPENING = 3  # signs in front of a word, as in ("`Rust
MAX_TAG = 120  # characters


class Text:
    """The tokens of one entry. `raw` holds them as written, `keys` in lower case, gaps as SPACE or NEWLINE."""

    __slots__ = ("keys", "raw")

    def __init__(self, entry: str) -> None:
        self.raw: list[str] = _TOKEN.findall(_ADDRESS.sub(SPACE, entry.translate(_SAME_SIGN)))
        self.keys = [_gap(token) if token.isspace() else token.lower() for token in self.raw]

    def key(self, index: int) -> str:
        """Return the key at `index`, or "" beyond either end."""
        return self.keys[index] if 0 <= index < len(self.keys) else ""

    def word_before(self, index: int) -> str:
        """Return the key of the word one gap in front of `index`, or ""."""
        return self.key(index - 2) if self.key(index - 1) in (SPACE, NEWLINE) else ""

    def word_behind(self, end: int) -> str:
        """Return the key of the word one gap or hyphen behind a name that ends before `end`, or ""."""
        return self.key(end + 1) if self.key(end) in (SPACE, NEWLINE, HYPHEN) else ""

    def starts_sentence(self, index: int) -> bool:
        """Say whether a capital at `index` proves nothing, because every sentence and list item starts with one."""
        index -= 1
        for _ in range(_MOST_OPENING):
            if index >= 0 and self.keys[index][-1] in _OPENING:
                index -= 1
        if index < 0 or self.keys[index] == NEWLINE:
            return True
        if self.keys[index] != SPACE:
            return False
        index -= 1
        if _CLOSING.issuperset(self.key(index)):
            index -= 1
        if self.key(index) == HYPHEN:
            return self.key(index - 1) in ("", SPACE, NEWLINE)
        return index < 0 or not _SENTENCE_ENDS.isdisjoint(self.key(index))


def _gap(blank: str) -> str:
    return NEWLINE if "\n" in blank else SPACE
