"""Names that no catalogue knows: "ImaginaryNoneExistence Cloud" is kept whole."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from .catalogue import ProperNames
from .text import HYPHEN, MAX_TAG, SPACE, Text

_MOST_WORDS = 4  # in front of the head


class ProperName(NamedTuple):
    """A name and the token at which it starts."""

    start: int
    name: str


def proper_names(text: Text, words: ProperNames, taken: Collection[int]) -> Iterator[ProperName]:
    """Yield each name before a word such as Cloud. `taken` are the tokens that belong to known technologies."""
    for head, raw in enumerate(text.raw):
        if raw not in words.heads or head in taken:
            continue
        start = _start(text, words, taken, head)
        name = "".join(text.raw[start : head + 1])
        if start < head and len(name) <= MAX_TAG:
            yield ProperName(start, name)


def _start(text: Text, words: ProperNames, taken: Collection[int], head: int) -> int:
    """Return the token at which the name before `head` starts; `head` itself when there is none."""
    start = head
    for _ in range(_MOST_WORDS):
        word = start - 2
        if word < 0 or word in taken or not _joined(text, word) or not _capitalised(text.raw[word]):
            break
        start = word
    while start < head and not _names_something(text, words, start):
        start += 2
    return start


def _joined(text: Text, word: int) -> bool:
    """A hyphen makes an ordinary compound ("Kunden-Cloud") unless the word cannot be one ("MoonLit-Cloud")."""
    joint = text.raw[word + 1]
    return joint == SPACE or (joint == HYPHEN and _inner_capital(text.raw[word]))


def _capitalised(word: str) -> bool:
    return len(word) > 1 and word[0].isupper() and word.isalnum()


def _inner_capital(word: str) -> bool:
    return not word.isupper() and any(letter.isupper() for letter in word[1:])


def _names_something(text: Text, words: ProperNames, word: int) -> bool:
    if text.keys[word] in words.generic:
        return False
    return _inner_capital(text.raw[word]) or not text.starts_sentence(word)
