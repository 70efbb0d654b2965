"""A language model's answer, read as what it is: text from a stranger."""

from __future__ import annotations

import re
import unicodedata

from .catalogue import catalogue
from .offline import named
from .text import MAX_TAG

_MOST_TAGS = 20
_MOST_LINES = 200  # ten times the tags: anything longer is no list of one log's technologies
_NOTHING = "none"

_MARKER = re.compile(r"(?:[-*•–+]|\d{1,3}[.)])\s+")  # noqa: RUF001 - the dash is one of the bullets
_WRAPPING = " \t\r\"'`*_,;"


class ExtractionFailed(Exception):
    """The model gave no usable answer. Asking again may help, so the queue retries the job."""


def technologies(answer: str, entry: str) -> list[str]:
    """Return the technologies that `answer` lists, one a line, and that stand in `entry`; at most 20, without doubles.

    A name the catalogue knows is returned as its canonical name, any other as `entry` writes it: no character of the
    answer itself is passed on. Lines that are overlong, hold control characters or name nothing in `entry` are dropped.
    "NONE" is an empty list. Raises ExtractionFailed for an answer that is no list: empty, prose, JSON, HTML, overlong.
    """
    lines = [line for line in map(_bare, answer.split("\n", _MOST_LINES)) if line]
    if not lines:
        raise ExtractionFailed("the model's answer is empty")
    if len(lines) > _MOST_LINES:
        raise ExtractionFailed(f"the model's answer has more than {_MOST_LINES} lines")
    if lines[0].startswith(("<", "{", "[")):
        raise ExtractionFailed("the model answered with markup or JSON instead of one technology per line")
    if [line.casefold().rstrip(".") for line in lines] == [_NOTHING]:
        return []
    names = [line for line in lines if not _prose(line)]
    if not names:
        raise ExtractionFailed("the model answered with prose instead of one technology per line")
    known = named(entry)
    tags = [_tag(name, entry, known) for name in names if _presentable(name)]
    return list(dict.fromkeys(tag for tag in tags if tag))[:_MOST_TAGS]


def _bare(line: str) -> str:
    """Strip the bullet or number, quotes and emphasis; the fence of a code block is no line at all."""
    line = line.strip()
    return "" if line.startswith("```") else _MARKER.sub("", line, count=1).strip(_WRAPPING)


def _prose(line: str) -> bool:
    """A sentence, by its length or its end; "Weights & Biases" and "Yahoo!" are names."""
    words = len(line.split())
    return words > 6 or (words >= 3 and line.endswith((".", "!", "?", ":")))


def _presentable(name: str) -> bool:
    return len(name) <= MAX_TAG and not any(unicodedata.category(letter).startswith("C") for letter in name)


def _tag(name: str, entry: str, known: frozenset[str]) -> str | None:
    """Return what `name` is called here, or None when it does not stand in the entry."""
    canonical = catalogue().canonical_names(name) & known
    if len(canonical) == 1:
        return next(iter(canonical))
    pattern = r"\s+".join(map(re.escape, name.split()))
    found = re.search(rf"(?<!\w){pattern}(?!\w)", entry, re.IGNORECASE)
    return " ".join(found.group().split()) if found else None
