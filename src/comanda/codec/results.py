"""What a task returns, as bytes."""

from __future__ import annotations

from typing import Any

import msgspec

from .custom import Codec, CodecFailed, decode_with, encode_with
from .leaves import all_finite, count_secrets
from .shape import Check, Shape
from .wire import SECRET_KEY, UndecodablePayload, UnencodableResult, complaint, encode, refuse_doubled_keys

BYTES_KEY = "$bytes"
_QUOTED_SECRET_KEY = f'"{SECRET_KEY}"'.encode()


class ResultCodec:
    """The result of one function, by its return annotation.

    It is less strict than the arguments' codec, since the work is already done: where the annotation is missing or has
    an Any, a datetime becomes a str and nobody objects. Bytes come back as bytes even then.
    """

    def __init__(self, name: str, shape: Shape | None, limit: int, codec: Codec | None = None) -> None:
        self._name = name
        self._shape = shape or Shape(Any)
        self._untyped = self._shape.kind is Any
        self._limit = limit
        self._codec = codec

    def encode(self, value: Any) -> bytes:
        """The bytes of a value. Raises UnencodableResult, also when it is larger than the limit."""
        if self._codec is None:
            data = self._encode(value)
        else:
            try:
                data = encode_with(self._codec, value)
            except CodecFailed as error:
                raise UnencodableResult(f"{self._name}: {error}") from None
        if len(data) > self._limit:
            raise UnencodableResult(
                f"{self._name} returned {len(data):,} bytes encoded, the limit is {self._limit:,}. "
                "Store the data elsewhere and return its key, or raise result_limit."
            )
        return data

    def decode(self, data: bytes) -> Any:
        """The value of those bytes. Raises UndecodablePayload."""
        if len(data) > self._limit:
            raise UndecodablePayload(f"{self._name}: a result of {len(data):,} bytes, the limit is {self._limit:,}")
        try:
            if self._codec is not None:
                return decode_with(self._codec, data)
            value = self._shape.decode(data)
            if b":" in data:
                refuse_doubled_keys(data, value)
            if self._untyped and isinstance(value, dict) and value.keys() == {BYTES_KEY}:
                return msgspec.convert(value[BYTES_KEY], bytes)
        except CodecFailed as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - a result comes from outside too
            problem = complaint(error).text
        else:
            return value
        raise UndecodablePayload(f"{self._name}: the stored result does not fit: {problem}")

    def _encode(self, value: Any) -> bytes:
        try:
            if self._untyped and type(value) is bytes:
                return encode({BYTES_KEY: value})
            data = encode(value)
            if self._survives(value, data):
                return data
        except Exception:  # noqa: BLE001, S110 - as for arguments: the refusal explains it
            pass
        raise UnencodableResult(f"{self._name}: what it returned cannot be stored: {self._problem(value)}")

    def _survives(self, value: Any, data: bytes) -> bool:
        if not self._shape.open:
            arrived = self._shape.decode(data)
            same_leaf = type(value) is type(arrived) and self._shape.check is Check.TYPE
            return same_leaf or self._shape.difference(value, arrived) is None
        if (b"null" in data or b"NaN" in data or b"Infinity" in data) and not all_finite(value):
            return False
        if self._untyped:
            ambiguous = isinstance(value, dict) and value.keys() == {BYTES_KEY}
            return not (ambiguous or (_QUOTED_SECRET_KEY in data and count_secrets(value)))
        arrived = self._shape.decode(data)
        return _QUOTED_SECRET_KEY not in data or count_secrets(value) == count_secrets(arrived)

    def _problem(self, value: Any) -> str:
        found = self._shape.explain(value)
        if found is None:
            return f"a dict with the one key {BYTES_KEY!r} stands for bytes; annotate the result with its type"
        return f"at {found.path}: {found.text}" if found.path else found.text
