"""The known technologies: catalogue.toml and ambiguous.toml as one index over tokens."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from enum import IntEnum
from importlib import resources
from typing import NamedTuple

import msgspec

from .text import HYPHEN, NEWLINE, SPACE, Text

_DIGITS = "0123456789"


class Evidence(IntEnum):
    """How much it takes for a spelling to be a technology. ambiguous.toml says what each level means."""

    ANY = 0
    CASED = 1
    CAPITAL = 2
    CUE = 3
    STRONG = 4


class Spelling(NamedTuple):
    """One way to write a technology. `canonical` is None for a phrase that only looks like one."""

    canonical: str | None
    written: str
    evidence: Evidence


class Domain(msgspec.Struct, forbid_unknown_fields=True):
    """One table of catalogue.toml."""

    names: list[str]
    aliases: dict[str, list[str]] = {}


class Cues(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words that speak for or against a technology beside them; in lower case, except `heads` of ProperNames."""

    labels: frozenset[str]
    before: frozenset[str]
    companions: frozenset[str]
    kinds: frozenset[str]
    things: frozenset[str]
    verbs: frozenset[str]
    connectors: frozenset[str]


class ProperNames(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The words of the rule for names that no catalogue knows."""

    heads: frozenset[str]
    generic: frozenset[str]


class Ambiguous(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """ambiguous.toml."""

    cased: list[str]
    capital: list[str]
    cue: list[str]
    strong: list[str]
    ordinary: list[str]
    cues: Cues
    proper_names: ProperNames


class _Node:
    __slots__ = ("following", "spellings")

    def __init__(self) -> None:
        self.following: dict[str, _Node] = {}
        self.spellings: list[Spelling] = []


class Catalogue:
    """All spellings in a tree of tokens; a name of n tokens is found in n steps, however many names there are."""

    def __init__(self, spellings: Iterator[Spelling]) -> None:
        self._root = _Node()
        for spelling in spellings:
            node = self._root
            for token in _path(Text(spelling.written)):
                node = node.following.setdefault(token, _Node())
            node.spellings.append(spelling)

    def longest(self, text: Text, start: int) -> tuple[int, list[Spelling]] | None:
        """Return where the longest name that starts at token `start` ends, and its spellings; None without a name."""
        node, found = self._root, None
        for index in range(start, len(text.keys)):
            key = SPACE if text.keys[index] in (NEWLINE, HYPHEN) else text.keys[index]
            following = node.following.get(key)
            if following is None:
                versioned = _without_version(node, key)
                return (index + 1, versioned) if versioned else found
            node = following
            if node.spellings:
                found = (index + 1, node.spellings)
        return found

    def canonical_names(self, phrase: str) -> frozenset[str]:
        """Return the canonical names that `phrase`, as a whole, may stand for, whatever its case."""
        text = Text(phrase)
        found = self.longest(text, 0)
        if found is None or found[0] != len(text.keys):
            return frozenset()
        return frozenset(spelling.canonical for spelling in found[1] if spelling.canonical)


def _path(text: Text) -> Iterator[str]:
    return (SPACE if key == HYPHEN else key for key in text.keys)


def _without_version(node: _Node, key: str) -> list[Spelling]:
    """`Python3`, `Vue3`, `HTML5`: digits glued to a name are its version."""
    name = key.rstrip(_DIGITS)
    if len(name) < 2 or name == key or name not in node.following:
        return []
    return node.following[name].spellings


@functools.cache
def ambiguous() -> Ambiguous:
    """Return what ambiguous.toml holds."""
    return msgspec.toml.decode(_data("ambiguous.toml"), type=Ambiguous)


@functools.cache
def catalogue() -> Catalogue:
    """Return the index over both files; about 2,700 spellings, built once a process."""
    return Catalogue(spellings())


def spellings() -> Iterator[Spelling]:
    """Yield every spelling of both files, the phrases that are none included."""
    words = ambiguous()
    levels = {
        written: evidence
        for evidence, group in zip(
            list(Evidence)[1:], (words.cased, words.capital, words.cue, words.strong), strict=True
        )
        for written in group
    }
    for canonical, written in _names():
        yield Spelling(canonical, written, levels.get(written, Evidence.ANY))
    for phrase in words.ordinary:
        yield Spelling(None, phrase, Evidence.ANY)


def _names() -> Iterator[tuple[str, str]]:
    domains = msgspec.toml.decode(_data("catalogue.toml"), type=dict[str, Domain])
    for title, domain in domains.items():
        for canonical in (*domain.names, *domain.aliases):
            for written in (canonical, *domain.aliases.get(canonical, ())):
                yield canonical, written
            if title == "apache" and not canonical.startswith("Apache "):
                yield canonical, f"Apache {canonical}"


def _data(name: str) -> bytes:
    return resources.files(__package__).joinpath(name).read_bytes()
