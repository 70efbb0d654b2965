"""A message of a message queue, as bytes."""

from __future__ import annotations

import re
from typing import Any

from ..errors import ConfigurationError, EnqueueError, InvalidArguments, PayloadTooLarge
from .custom import Codec, CodecFailed, check_codec, decode_with, encode_with
from .shape import Shape, Unsupported
from .wire import CONTENT_TYPE, UndecodablePayload, complaint, encode, refuse_doubled_keys

RAW = b"\x00"  # before a message of bytes, which follow as they are: no JSON text starts with it


class ValueCodec:
    """The values of one message queue. Built once per queue.

    JSON by `type`, checked like a task's arguments; None is a message like any other. Bytes are stored as they are,
    behind one zero byte that tells them from JSON. `payload_limit` is in bytes, `name` is for errors, `content_type`
    says what the bytes are. Raises ConfigurationError when the type has no JSON form.
    """

    def __init__(
        self,
        type: Any = Any,
        *,
        codec: Codec | None = None,
        payload_limit: int = 1_048_576,
        name: str = "message",
    ) -> None:
        self.name = name
        self.payload_limit = payload_limit
        self.content_type = CONTENT_TYPE
        self._codec = codec
        if codec is not None:
            check_codec(codec)
            self.content_type = codec.content_type
            type = Any  # noqa: A001 - what a codec of one's own can carry is its own business
        try:
            self._shape = Shape(type)
        except Unsupported as error:
            raise ConfigurationError(
                f"{name}: {error}. Use a type that JSON can carry, or give the queue a codec of its own."
            ) from None

    def encode(self, value: Any) -> bytes:
        """The payload of a message. Raises InvalidArguments with the field where it does not fit, PayloadTooLarge."""
        data = self._encode(value)
        if data is None:
            raise self._refusal(value)  # here, where no exception that quotes the value can become its context
        if len(data) > self.payload_limit:
            raise PayloadTooLarge(self.name, len(data), self.payload_limit)
        return data

    def decode(self, data: bytes) -> Any:
        """The message of that payload. Raises UndecodablePayload."""
        if len(data) > self.payload_limit:
            raise UndecodablePayload(f"{self.name}: {len(data):,} bytes, the limit is {self.payload_limit:,}")
        try:
            if self._codec is not None:
                return decode_with(self._codec, data)
            if data.startswith(RAW) and self._shape.takes_bytes:
                return data[1:]
            value = self._shape.decode(data)
            if b":" in data:
                refuse_doubled_keys(data, value)
        except CodecFailed as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - a payload comes from outside: nothing in it may stop a worker
            found = complaint(error)
            problem = f"{found.path.removeprefix('.')}: {found.text}" if found.path else found.text
        else:
            return value
        raise UndecodablePayload(f"{self.name}: the stored message does not fit: {problem}")

    def _encode(self, value: Any) -> bytes | None:
        if self._codec is not None:
            try:
                return encode_with(self._codec, value)
            except CodecFailed as error:
                raise InvalidArguments(f"{self.name}: {error}") from None
        if isinstance(value, bytes) and self._shape.takes_bytes:
            return RAW + value
        try:
            data = encode(value)
            return None if self._shape.difference(value, self._shape.decode(data)) else data
        except Exception:  # noqa: BLE001 - whatever a value's own methods raise, the refusal explains it
            return None

    def _refusal(self, value: Any) -> EnqueueError:
        found = self._shape.explain(value)
        if found is None:
            return InvalidArguments(f"{self.name}: it does not survive the trip through JSON")
        path = found.path.removeprefix(".")
        return InvalidArguments(
            f"{self.name}: {found.text}" if not path else f"{self.name}: {path!r}: {found.text}",
            re.split(r"[.[]", path)[0] or None,
        )
