"""Technologies by catalogue and context, without any service."""

from __future__ import annotations

from collections.abc import Iterator

from .catalogue import Spelling, ambiguous, catalogue
from .evidence import Judge, Mention
from .proper_names import ProperName, proper_names
from .text import Text

_DIGITS = "0123456789"


def extract_offline(entry: str) -> list[str]:
    """Return the technologies in `entry` under their canonical names, in order of first appearance, without doubles.

    Takes free text in German, English or Portuguese. The time is linear in its length: 5 ms for 10,000 characters.
    """
    text, words = Text(entry), ambiguous()
    mentions = [_mention(text, *place) for place in _places(text)]
    Judge(text, words.cues).decide(mentions)
    known = [mention for mention in mentions if mention.accepted]
    taken = {token for mention in known for token in range(mention.start, mention.end)}
    found = [ProperName(mention.start, mention.spelling.canonical or "") for mention in known]
    found += proper_names(text, words.proper_names, taken)
    return list(dict.fromkeys(name for _, name in sorted(found)))


def named(entry: str) -> frozenset[str]:
    """Return the canonical names of all spellings in `entry`, whatever their context says."""
    places = _places(Text(entry))
    return frozenset(spelling.canonical for *_, found in places for spelling in found if spelling.canonical)


def _places(text: Text) -> Iterator[tuple[int, int, list[Spelling]]]:
    """Yield start, end and spellings of the longest name at each place, from left to right, none inside another."""
    index, names = 0, catalogue()
    while index < len(text.keys):
        found = names.longest(text, index)
        if found is None:
            index += 1
            continue
        yield index, *found
        index = found[0]


def _mention(text: Text, start: int, end: int, spellings: list[Spelling]) -> Mention:
    """Choose among spellings that differ in case only (Yarn, YARN): the one as written, else the least ambiguous."""
    raw = "".join(text.raw[start:end])
    forms = {_form(raw), _form(raw.rstrip(_DIGITS))}
    for spelling in spellings:
        if _form(spelling.written) in forms:
            return Mention(start, end, spelling, as_written=True, lower=raw.islower())
    spelling = min(spellings, key=lambda candidate: candidate.evidence)
    return Mention(start, end, spelling, as_written=False, lower=raw.islower())


def _form(written: str) -> str:
    return " ".join(written.replace("-", " ").split())
