"""What lies inside a value, without knowing its type: containers and records are opened, the rest are leaves."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import Any

from ..secret import Secret


def _field_names(kind: type) -> tuple[str, ...]:
    if hasattr(kind, "__struct_fields__"):
        return tuple(kind.__struct_fields__)
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    if hasattr(kind, "__attrs_attrs__"):
        return tuple(attribute.name for attribute in kind.__attrs_attrs__)
    return tuple(getattr(kind, "model_fields", ())) if is_model(kind) else ()


# The names of a record type's fields: Struct, dataclass, attrs class or pydantic model; empty for every other type.
field_names: Callable[[type], tuple[str, ...]] = lru_cache(maxsize=1024)(_field_names)


def is_model(kind: object) -> bool:
    """Whether this is a pydantic model class, judged by its two methods: comanda does not import pydantic."""
    return isinstance(kind, type) and hasattr(kind, "model_validate") and hasattr(kind, "model_dump")


def type_name(value: object) -> str:
    """The type of a value as errors show it."""
    if isinstance(value, Secret):
        return f"Secret[{type_name(value.reveal())}]"
    return "None" if value is None else type(value).__name__


def leaves(value: Any) -> Iterator[Any]:
    """Every leaf inside `value`, a Secret being one. It works through a list instead of recursing, so that depth and
    cycles do no harm."""
    waiting = [value]
    opened: dict[int, Any] = {}  # keeps what it has seen alive: an id is only unique while its object lives
    while waiting:
        item = waiting.pop()
        inside = _inside(item)
        if inside is None:
            yield item
        elif id(item) not in opened:
            opened[id(item)] = item
            waiting.extend(inside)


def _inside(value: Any) -> Iterable[Any] | None:
    if isinstance(value, dict):
        return chain(value.keys(), value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return value
    names = field_names(type(value))
    return [getattr(value, name, None) for name in names] if names else None


def is_finite(leaf: Any) -> bool:
    """False for the numbers that JSON has no form for: NaN and the infinities."""
    if isinstance(leaf, float):
        return math.isfinite(leaf)
    return leaf.is_finite() if isinstance(leaf, Decimal) else True


def all_finite(value: Any) -> bool:
    """Whether no number inside `value`, in a Secret too, is NaN or infinite."""
    return all(all_finite(leaf.reveal()) if isinstance(leaf, Secret) else is_finite(leaf) for leaf in leaves(value))


def count_secrets(value: Any) -> int:
    """How many Secrets lie inside `value`."""
    return sum(isinstance(leaf, Secret) for leaf in leaves(value))


def secret_texts(value: Any) -> list[str]:
    """The texts under which the Secrets inside `value` could turn up in a traceback or a log line."""
    texts: set[str] = set()
    for leaf in leaves(value):
        if isinstance(leaf, Secret):
            for part in leaves(leaf.reveal()):
                texts.update(_texts(part))
    return sorted(texts)


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, Secret):
        yield from secret_texts(part)
    elif isinstance(part, str):
        yield from (part, repr(part)[1:-1])  # a traceback shows a text as it is, or with its escapes
    elif isinstance(part, bytes):
        yield repr(part)[2:-1]
    elif part is not None and not isinstance(part, bool):
        yield str(part)
