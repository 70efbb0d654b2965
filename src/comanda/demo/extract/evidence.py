"""Is this word a technology here? Decided by its case, its place in the sentence and its neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .catalogue import Cues, Evidence, Spelling
from .text import HYPHEN, NEWLINE, SPACE, Text

_LONGEST_CONNECTION = 6  # tokens between two names of one list: ", and " and a version


@dataclass(slots=True)
class Mention:
    """A spelling found at tokens start … end; `accepted` says whether it is a technology there."""

    start: int
    end: int
    spelling: Spelling
    as_written: bool
    lower: bool
    accepted: bool = False


class Judge:
    """The rules, over one text."""

    def __init__(self, text: Text, cues: Cues) -> None:
        self._text = text
        self._cues = cues

    def decide(self, mentions: Sequence[Mention]) -> None:
        """Set `accepted` on each mention: first by its own neighbourhood, then by the lists it stands in."""
        for mention in mentions:
            mention.accepted = not self._excluded(mention) and self._accepts(mention)
        self._spread(mentions)
        self._spread(mentions[::-1])

    def _excluded(self, mention: Mention) -> bool:
        if mention.spelling.canonical is None:
            return True
        text, start = self._text, mention.start
        if text.key(start - 1) == "." and text.key(start - 2).isalnum():
            return True  # the ending of a file's name: index.html, main.go
        return len(mention.spelling.written) == 1 and text.word_before(start) in self._cues.labels  # "Plan C"

    def _accepts(self, mention: Mention) -> bool:
        evidence = mention.spelling.evidence
        if evidence is Evidence.ANY:
            return True
        if self._certain(mention):
            return True
        if mention.as_written:
            return self._accepts_as_written(mention, evidence)
        if not mention.lower or evidence >= Evidence.CUE:
            return False
        companion = evidence is Evidence.CASED and self._text.word_before(mention.start) in self._cues.companions
        return companion or self._strong(mention)

    def _accepts_as_written(self, mention: Mention, evidence: Evidence) -> bool:
        if evidence is Evidence.CASED:
            return True
        if evidence is Evidence.CAPITAL and not self._text.starts_sentence(mention.start):
            return True
        if evidence is Evidence.CAPITAL and mention.spelling.written.isupper():
            return True  # no sentence starts with REST by chance
        return self._strong(mention) or (evidence is not Evidence.STRONG and self._weak(mention))

    def _certain(self, mention: Mention) -> bool:
        """A version with a dot behind it ("Go 1.22"), or backquotes around it; a quoted letter is any identifier."""
        text, end = self._text, mention.end
        if text.key(mention.start - 1) == text.key(end) == "`" and len(mention.spelling.written) > 1:
            return True
        version = text.key(end) == SPACE and text.key(end + 1).removeprefix("v").isdecimal()
        return version and text.key(end + 2) == "." and text.key(end + 3)[:1].isdecimal()

    def _strong(self, mention: Mention) -> bool:
        """A noun that says what it is: "Rust code", "a linguagem Go"."""
        if self._text.word_behind(mention.end) in self._cues.things:
            return True
        return mention.as_written and self._text.word_before(mention.start) in self._cues.kinds

    def _weak(self, mention: Mention) -> bool:
        """A preposition or verb in front, a whole number or a verb behind."""
        text, behind = self._text, self._text.word_behind(mention.end)
        if text.word_before(mention.start) in self._cues.before:
            return True
        starts = text.starts_sentence(mention.start)
        if starts and text.key(mention.end) == SPACE and behind in self._cues.verbs:
            return True
        year = len(behind) == 4 and behind.startswith(("19", "20"))
        return behind.isdecimal() and not year and not starts and len(mention.spelling.written) > 1

    def _spread(self, mentions: Iterable[Mention]) -> None:
        """Accept what stands in a list beside an accepted name: "Python and Go", "C/C++"."""
        previous: Mention | None = None
        for mention in mentions:
            if previous and previous.accepted and not mention.accepted and self._may_join(mention):
                mention.accepted = self._connected(mention, *sorted((previous, mention), key=lambda m: m.start))
            previous = mention

    def _may_join(self, mention: Mention) -> bool:
        evidence = mention.spelling.evidence
        if self._excluded(mention) or evidence is Evidence.STRONG:
            return False
        return mention.as_written or (mention.lower and evidence < Evidence.CUE)

    def _connected(self, joining: Mention, first: Mention, second: Mention) -> bool:
        if second.start - first.end > _LONGEST_CONNECTION:
            return False
        keys = self._text.keys[first.end : second.start]
        between = [key for key in keys if key not in (SPACE, HYPHEN) and not key.isdecimal()]
        if not between or NEWLINE in between or not self._cues.connectors.issuperset(between):
            return False
        return joining.as_written or between != [","]  # "with redis, react quickly": a comma alone is no list
