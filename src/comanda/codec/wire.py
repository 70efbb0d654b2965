"""JSON for the types that msgspec leaves to us, and its error texts without the values that some of them hold."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any, NamedTuple, get_args, get_origin

import msgspec

from ..secret import Secret
from .leaves import is_model

CONTENT_TYPE = "application/json"
SECRET_KEY = "$secret"  # noqa: S105 - a key on the wire, the same for everybody
_NO_KEYS = (type(None), bool, tuple, frozenset)  # msgspec asks us about these only where they are keys


class UndecodablePayload(Exception):
    """A stored payload does not fit the code that should read it. The message is a sentence and holds no value."""


class UnencodableResult(Exception):
    """What a task returned cannot be stored. The message is a sentence and holds no value."""


class Unfit(ValueError):
    """Raised inside the hooks; its text is ours and may be shown. msgspec adds the path to it."""


def to_wire(value: Any) -> Any:
    """The JSON form of a value that msgspec does not know; nested values are encoded in turn. Raises Unfit."""
    if isinstance(value, Secret):
        return {SECRET_KEY: value.reveal()}
    if isinstance(value, pathlib.PurePath):
        return str(value)
    if is_model(type(value)):
        return value.model_dump(mode="json", by_alias=True)
    as_key = " as a dict's key" if isinstance(value, _NO_KEYS) else ""
    raise Unfit(f"JSON has no form for {type(value).__name__}{as_key}")


def from_wire(kind: Any, data: Any) -> Any:
    """The value of type `kind` that `to_wire` made `data` from. Raises Unfit."""
    origin = get_origin(kind) or kind
    if kind is object:
        return data
    if origin is Secret:
        return _secret(kind, data)
    if issubclass(origin, pathlib.PurePath):
        if not isinstance(data, str):
            raise Unfit(f"expected `{origin.__name__}`")
        return origin(data)
    try:
        return kind.model_validate(data)
    except Exception:  # noqa: BLE001 - a model's validators may raise anything, and pydantic quotes the value
        raise Unfit(f"expected `{origin.__name__}`") from None


def _secret(kind: Any, data: Any) -> Secret[Any]:
    if not isinstance(data, dict) or data.keys() != {SECRET_KEY}:
        raise Unfit("expected `Secret`")
    inner = get_args(kind)
    if not inner:
        return Secret(data[SECRET_KEY])
    try:
        return Secret(msgspec.convert(data[SECRET_KEY], inner[0], str_keys=True, dec_hook=from_wire))
    except msgspec.ValidationError:
        raise Unfit("expected another type inside the `Secret`") from None


encode = msgspec.json.Encoder(enc_hook=to_wire, decimal_format="string", uuid_format="canonical").encode


def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """A strict decoder of one type."""
    return msgspec.json.Decoder(kind, dec_hook=from_wire)


class Complaint(NamedTuple):
    """What a decoder did not like, fit to be shown."""

    path: str  # from the top: "" or ".items[0].name"; a dict's keys are data, so they are written as "[...]"
    text: str
    mismatch: bool = (
        False  # True when it is about a value of the wrong type, False when about a constraint or the JSON itself
    )


_PATH = re.compile(r" - at (?:`key` in )?`\$([^`]*)`\Z")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_FIELD = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_MISMATCH = re.compile(r"Expected `[^`]*`, got `[^`]*`")
# The texts of msgspec that name types, bounds and positions only. The others quote the value, as an enum's does.
NOT_ALLOWED = "its value is not one that the type allows"
_HARMLESS = (
    "Expected `",
    "Integer value out of range",
    "Number out of range",
    "Input data was truncated",
    "JSON is ma",
)


def complaint(error: Exception) -> Complaint:
    """What an exception from a decoder says, without values."""
    if isinstance(error, UndecodablePayload):
        return Complaint("", str(error))
    if isinstance(error, RecursionError):
        return Complaint("", "it is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return Complaint("", "it is not UTF-8")
    message = str(error) if isinstance(error, msgspec.DecodeError) else ""
    found = _PATH.search(message)
    path, text = (found[1], message[: found.start()]) if found else ("", message)
    return _harmless(path, text, error.__cause__)


def _harmless(path: str, text: str, cause: BaseException | None) -> Complaint:
    """One text of msgspec's, replaced when it is not known to be free of values."""
    if unknown := _UNKNOWN_FIELD.match(text):
        return Complaint(path, f"the field {unknown[1][:80]!r} is unknown")
    if missing := _MISSING_FIELD.match(text):
        return Complaint(f"{path}.{missing[1]}", "it is required and missing")
    if isinstance(cause, Unfit):
        return Complaint(path, text, mismatch=True)
    if cause or not text.startswith(_HARMLESS):
        return Complaint(path, NOT_ALLOWED, mismatch=True)
    return Complaint(path, text.replace("Expected", "expected", 1), mismatch=bool(_MISMATCH.match(text)))


def encoding_problem(error: Exception) -> str:
    """Why a value could not be encoded, without the value."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply or contains itself"
    if isinstance(error, UnicodeEncodeError):
        return "a str in it holds a lone surrogate, which UTF-8 has no form for"
    if isinstance(error, Unfit):
        return str(error)
    if isinstance(error, ValueError) and str(error).startswith("Exceeds the limit"):
        return "an int in it has too many digits"
    return f"encoding it raised {type(error).__name__}"


def refuse_doubled_keys(data: bytes, arrived: Any) -> None:
    """Raises UndecodablePayload when an object in `data` has a key twice: msgspec keeps the last and says nothing.

    `arrived` is what `data` was decoded to. When encoding it again gives the same bytes, as it mostly does, there are
    none, and that is ten times as fast as looking for them (48 kB: 69 against 691 µs).
    """
    try:
        if encode(arrived) == data:
            return
    except Exception:  # noqa: BLE001, S110 - a default that was filled in need not be encodable
        pass
    json.loads(str(data, "utf-8"), object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise UndecodablePayload("a key stands twice in one object")
    return result
