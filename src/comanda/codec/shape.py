"""A type, checked once where it is declared and compiled for the hot path."""

from __future__ import annotations

import enum
import inspect
import pathlib
from collections.abc import Iterator
from typing import Any, Never, NoReturn, get_args, get_origin

import msgspec
import msgspec.inspect as nodes

from ..secret import Secret
from .leaves import all_finite, is_model, type_name
from .roundtrip import Difference, difference
from .wire import NOT_ALLOWED, Complaint, complaint, decoder, encode, encoding_problem

_SCALARS = (
    nodes.NoneType, nodes.BoolType, nodes.IntType, nodes.FloatType, nodes.StrType, nodes.BytesType, nodes.DateType,
    nodes.TimeType, nodes.DateTimeType, nodes.TimeDeltaType, nodes.UUIDType, nodes.EnumType, nodes.LiteralType,
)  # fmt: skip
_CONTAINERS = (
    nodes.AnyType, nodes.ListType, nodes.TupleType, nodes.VarTupleType, nodes.SetType, nodes.FrozenSetType,
    nodes.DictType, nodes.TypedDictType, nodes.NamedTupleType, nodes.UnionType, nodes.Metadata, nodes.Field,
)  # fmt: skip
_KEYS = (
    nodes.AnyType, nodes.IntType, nodes.FloatType, nodes.StrType, nodes.BytesType, nodes.DateType, nodes.TimeType,
    nodes.DateTimeType, nodes.TimeDeltaType, nodes.UUIDType, nodes.EnumType, nodes.LiteralType, nodes.DecimalType,
    nodes.UnionType,
)  # fmt: skip
_NATIVE = "None, bool, int, float, str, list, tuple or a dict with str keys"


class Unsupported(Exception):
    """The type has no JSON form that a decoder could bring back. The message says why."""


class Check(enum.Enum):
    """How much has to be looked at to know that a value survived the trip."""

    TYPE = enum.auto()  # a leaf: the same type at both ends
    EQUALITY = enum.auto()  # equal at both ends, which is one fast comparison; looked through when it is not
    FIELDS = enum.auto()  # looked through always: 1 == Decimal(1), "red" == Color.RED, and records define == themselves


class Shape:
    """One annotation, compiled.

    `decode(data)` is the strict decoder; `check` tells how a round trip is proved; `open` is True when the type has
    an Any inside, `secret` when it has a Secret, `takes_bytes` when any bytes are a value of it. Raises Unsupported.
    """

    __slots__ = ("annotation", "check", "decode", "kind", "open", "secret", "takes_bytes")

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation
        self.kind = Any if annotation in (object, Never, NoReturn) else annotation
        found = list(_nodes(self.kind))
        self.decode = decoder(self.kind).decode
        self.open = any(isinstance(node, nodes.AnyType) or _is_custom(node, object) for node in found)
        self.secret = any(_is_custom(node, Secret) for node in found)
        self.takes_bytes = self.kind is Any or _takes_bytes(found[0])
        self.check = _check(found)
        for inner in _secret_arguments(self.kind):
            Shape(inner)

    def __str__(self) -> str:
        return inspect.formatannotation(self.annotation).replace("comanda.secret.", "")

    def difference(self, given: Any, arrived: Any) -> Difference | None:
        """Where the value that arrived is not the one that was given, or None. May raise RecursionError."""
        if type(given) is type(arrived) and self.check is Check.TYPE:
            return None
        if self.check is Check.EQUALITY and _equal(given, arrived):
            return None
        return difference(given, arrived)

    def explain(self, value: Any) -> Complaint | None:
        """Why `value` does not survive the trip, or None if it does. For errors: it does everything anew and slowly."""
        try:
            if not all_finite(value):
                return Complaint("", "NaN and infinity have no form in JSON")
            data = encode(value)
        except Exception as error:  # noqa: BLE001 - a model's own dump may raise anything
            return Complaint("", encoding_problem(error))
        try:
            found = self.difference(value, self.decode(data))
        except Exception as error:  # noqa: BLE001 - as above, for a class's own checks
            return self._localised(complaint(error), value)
        return self._described(found) if found else None

    def _localised(self, found: Complaint, value: Any) -> Complaint:
        """msgspec names JSON's types; at the top we know the Python ones."""
        if found.path or not found.mismatch:
            return found
        got = f"a {type_name(value)} that it does not allow" if found.text == NOT_ALLOWED else type_name(value)
        return Complaint("", f"expected {self}, got {got}")

    def _described(self, found: Difference) -> Complaint:
        got = f"{found.given} ({found.note})" if found.note else found.given
        if self.kind is Any:
            return Complaint(found.path, f"expected {_NATIVE}, got {got}; annotate it with its type")
        expected = found.arrives if found.path else self
        advice = f"; where the annotation says Any, use {_NATIVE}" if self.open else ""
        return Complaint(found.path, f"expected {expected}, got {got}{advice}")


def _equal(given: Any, arrived: Any) -> bool:
    try:
        return bool(given == arrived)
    except Exception:  # noqa: BLE001 - a user's own __eq__ may raise anything; looking through needs none
        return False


def _nodes(kind: Any) -> Iterator[nodes.Type | nodes.Field]:
    """Every node of the type's description, each once; refuses what cannot be decoded again."""
    try:
        decoder(kind)
        waiting: list[Any] = [nodes.type_info(kind)]
    except Exception as error:  # noqa: BLE001 - resolving the names in a user's classes may raise anything
        kind_of_error = "" if isinstance(error, TypeError) else f"{type(error).__name__}: "
        raise Unsupported(f"{kind_of_error}{error}") from None
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        _refuse_unsupported(node)
        yield node
        for name in node.__struct_fields__:
            value = getattr(node, name)
            inside = value if isinstance(value, tuple) else (value,)
            waiting.extend(part for part in inside if isinstance(part, nodes.Type | nodes.Field))


def _refuse_unsupported(node: nodes.Type | nodes.Field) -> None:
    if isinstance(node, nodes.CustomType):
        kind = node.cls
        if not (kind in (Secret, object) or issubclass(kind, pathlib.PurePath) or is_model(kind)):
            raise Unsupported(f"{inspect.formatannotation(kind)} has no JSON form")
    elif isinstance(node, nodes.DictType):
        key = node.key_type.type if isinstance(node.key_type, nodes.Metadata) else node.key_type
        if not isinstance(key, _KEYS):
            keys = getattr(key, "cls", type(key)).__name__.removesuffix("Type")
            raise Unsupported(f"a dict with keys of type {keys} has no JSON form")


def _is_custom(node: object, kind: type) -> bool:
    return isinstance(node, nodes.CustomType) and node.cls is kind


def _takes_bytes(node: nodes.Type | nodes.Field) -> bool:
    if isinstance(node, nodes.Metadata):
        return _takes_bytes(node.type)
    members = node.types if isinstance(node, nodes.UnionType) else (node,)
    return any(isinstance(member, nodes.BytesType) and member.max_length is member.min_length for member in members)


def _is_path(node: object) -> bool:
    return isinstance(node, nodes.CustomType) and issubclass(node.cls, pathlib.PurePath)


def _check(found: list[nodes.Type | nodes.Field]) -> Check:
    if all(isinstance(node, (*_SCALARS, nodes.UnionType, nodes.Metadata)) or _is_path(node) for node in found):
        return Check.TYPE
    plain = (*(kind for kind in _SCALARS if kind is not nodes.EnumType), *_CONTAINERS)
    return Check.EQUALITY if all(isinstance(node, plain) or _is_path(node) for node in found) else Check.FIELDS


def _secret_arguments(kind: Any) -> Iterator[Any]:
    """The T of every Secret[T] that the annotation itself spells out: msgspec's description drops it."""
    for argument in get_args(kind):
        if get_origin(kind) is Secret:
            yield argument
        elif not isinstance(argument, msgspec.Meta):
            yield from _secret_arguments(argument)
