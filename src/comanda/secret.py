"""Values that no log, page, error or repr shows."""

from __future__ import annotations

import copy
import hmac
import re
from collections.abc import Sequence
from typing import Any, Generic, NoReturn, TypeVar, final

T = TypeVar("T")

MASK = "•••"


@final
class Secret(Generic[T]):
    """Holds a value of type T, and hands it out only by `reveal()`.

    As the annotation of a task's parameter, `Secret[str]`, it keeps the argument out of everything comanda shows. It
    hides the value from people who look; it does not encrypt it: the store holds it in plain text.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __format__(self, specification: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return _equal(self._value, other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __copy__(self) -> Secret[T]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret[T]:
        return Secret(copy.deepcopy(self._value, memo))

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not pickled: that would write its value where nothing masks it")


def mask(text: str, secrets: Sequence[str]) -> str:
    """`text` with every occurrence of every one of `secrets` replaced by dots; the longest match wins."""
    words = sorted({word for word in secrets if word}, key=len, reverse=True)
    if not words:
        return text
    return re.sub("|".join(map(re.escape, words)), MASK, text)


def _equal(mine: object, theirs: object) -> bool:
    """Equality that takes the same time wherever two texts differ (S18)."""
    if isinstance(mine, str) and isinstance(theirs, str):
        return hmac.compare_digest(mine.encode("utf-8", "surrogatepass"), theirs.encode("utf-8", "surrogatepass"))
    if isinstance(mine, bytes) and isinstance(theirs, bytes):
        return hmac.compare_digest(mine, theirs)
    return bool(mine == theirs)
