"""What a trip through JSON would change: a value as it was given beside the value as it would arrive.

The typed decoder refuses most wrong arguments by itself. It cannot see what the wire hides: a `str` that happens to be
a valid datetime, or a `dict` where a dataclass was asked for. Comparing both ends shows that without a second type
system. Checkers would accept a list for a tuple and an int for a float in practice, so both pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, NamedTuple
from uuid import UUID

from ..secret import Secret
from .leaves import field_names, is_finite, is_model, type_name

_NO_FIELD = object()

# For these the same type at both ends settles it: the wire carries them whole, and NaN never arrives as a float.
# Comparing aware datetimes would refuse good ones: in the hour that a clock change repeats, == between zones is False.
_WHOLE = frozenset({NoneType, bool, int, float, str, bytes, date, time, datetime, timedelta, UUID})


class Difference(NamedTuple):
    """One place where a value does not survive. No text in it ever holds a value."""

    path: str  # from the value on: "", "[2].name"; a dict's keys are data, so they are written as "[...]"
    given: str  # the type that was given
    arrives: str  # the type that would arrive
    note: str = ""


def difference(given: Any, arrived: Any) -> Difference | None:
    """The first place where `arrived` is not what was `given`, or None. May raise RecursionError."""
    return next(_differences(given, arrived, ""), None)


def _differences(given: Any, arrived: Any, path: str) -> Iterator[Difference]:
    if isinstance(arrived, dict) and isinstance(given, dict):
        yield from _in_dict(given, arrived, path)
    elif isinstance(arrived, list | tuple) and isinstance(given, list | tuple):
        yield from _in_array(given, arrived, path)
    elif isinstance(arrived, set | frozenset) and isinstance(given, set | frozenset):
        yield from _in_set(given, arrived, path)
    elif isinstance(arrived, Secret) and isinstance(given, Secret):
        yield from _differences(given.reveal(), arrived.reveal(), path)
    elif field_names(type(arrived)) and type(given) is type(arrived):
        yield from _in_record(given, arrived, path)
    elif not _same_leaf(given, arrived):
        yield _changed(given, arrived, path)


def _in_dict(given: dict[Any, Any], arrived: dict[Any, Any], path: str) -> Iterator[Difference]:
    for key, value in given.items():
        if key not in arrived:
            yield _changed(given, arrived, path, f"a key of type {type_name(key)} would be lost or changed")
        elif not _whole(value, arrived[key]):
            yield from _differences(value, arrived[key], f"{path}[...]")


def _in_array(given: Any, arrived: Any, path: str) -> Iterator[Difference]:
    if len(given) != len(arrived):
        yield _changed(given, arrived, path, "its length changes")
    for index, (one, other) in enumerate(zip(given, arrived, strict=False)):
        if not _whole(one, other):
            yield from _differences(one, other, f"{path}[{index}]")


def _in_set(given: Any, arrived: Any, path: str) -> Iterator[Difference]:
    by_value = {item: item for item in arrived}
    for item in given:
        if item not in by_value:
            yield _changed(given, arrived, path, f"an item of type {type_name(item)} would be changed")
        else:
            yield from _differences(item, by_value[item], f"{path}[...]")


def _in_record(given: Any, arrived: Any, path: str) -> Iterator[Difference]:
    if is_model(type(arrived)):
        # A model decides by itself what it dumps: excluded fields and SecretStr come back changed.
        if given != arrived:
            yield _changed(given, arrived, path, "its JSON form leaves something out")
        return
    for name in field_names(type(arrived)):
        one, other = getattr(given, name, _NO_FIELD), getattr(arrived, name, _NO_FIELD)
        if not _whole(one, other):
            yield from _differences(one, other, f"{path}.{name}")


def _whole(given: Any, arrived: Any) -> bool:
    kind = type(given)
    return kind is type(arrived) and kind in _WHOLE


def _same_leaf(given: Any, arrived: Any) -> bool:
    if field_names(type(arrived)):
        return False  # a subclass would arrive as its base, without the fields it adds
    if isinstance(arrived, int | float | Decimal):
        fits = isinstance(given, type(arrived)) or (isinstance(arrived, float) and isinstance(given, int))
        return fits and is_finite(given) and bool(given == arrived)
    return isinstance(given, type(arrived))


def _changed(given: Any, arrived: Any, path: str, note: str = "") -> Difference:
    return Difference(path, type_name(given), type_name(arrived), note)
