"""A task's arguments and result, as bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import GenericAlias
from typing import Any

import msgspec
from msgspec.structs import astuple

from ..errors import ConfigurationError, EnqueueError, InvalidArguments, PayloadTooLarge
from .custom import Codec, CodecFailed, check_codec, decode_with, encode_with
from .leaves import secret_texts
from .payload import packer, reader
from .results import ResultCodec
from .shape import Check, Shape, Unsupported
from .signature import BindingError, Signature, resolved_annotations, where
from .wire import CONTENT_TYPE, UndecodablePayload, complaint, encode, encoding_problem, refuse_doubled_keys


class ArgumentCodec:
    """Arguments and results of one function. Built once per task, at its declaration.

    Arguments become one JSON object by parameter name, encoded and checked by the function's annotations; what the
    caller leaves out is not stored, so that the worker's default applies. What would not arrive as it was given is
    refused: a str for a datetime, a bool for an int, a subclass for its base (it would lose the fields it adds).
    With a codec of one's own, that codec gets this object as a dict, and only the names are checked.

    Limits are in bytes, `name` is the task's name in errors, `content_type` says what the bytes are. Raises
    ConfigurationError naming the parameter whose annotation cannot be resolved or has no JSON form.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        codec: Codec | None = None,
        payload_limit: int = 1_048_576,
        result_limit: int = 1_048_576,
        name: str | None = None,
    ) -> None:
        self.name = name or f"{function.__module__}.{getattr(function, '__qualname__', type(function).__name__)}"
        self.payload_limit = payload_limit
        self.content_type = CONTENT_TYPE
        self._codec = codec
        self._signature = signature = Signature(function, self.name)
        if codec is not None:
            check_codec(codec)
            self.content_type = codec.content_type
            self._results = ResultCodec(self.name, None, result_limit, codec)
            self._may_hold_secrets = True  # its annotations are the codec's own business, so each call is looked at
            return
        self._shapes = _shapes(function, signature, self.name)
        self._results = ResultCodec(self.name, self._shapes.get("return"), result_limit)
        self._in_order = tuple(self._shapes[name] for name in signature.names)
        self._exact = _exact(self._in_order)
        self._may_hold_secrets = any(shape.secret for shape in self._in_order)
        self._pack = packer(signature)
        self._read = reader(signature, self._shapes)
        self._all_positional = signature.positional == signature.names
        self._fewest_keys = len(signature.required)

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The payload of a call. Raises InvalidArguments with the parameter's name as `field`, and PayloadTooLarge."""
        if self._codec is not None:
            return self._encode_with(self._codec, args, kwargs)
        try:
            given = self._pack(*args, **kwargs)
            payload = encode(given)
            if len(payload) <= self.payload_limit and (
                tuple(map(type, astuple(given))) == self._exact or self._survives(given, self._read(payload))
            ):
                return payload
        except Exception:  # noqa: BLE001, S110 - whatever a value's own methods raise, the refusal explains it
            pass
        # Raised outside the handler: an exception that quotes a value must not hang on to it as its context.
        raise self._refusal(args, kwargs)

    def decode(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """`(args, kwargs)`, ready for the function. Raises UndecodablePayload."""
        if len(payload) > self.payload_limit:
            raise UndecodablePayload(f"{self.name}: {len(payload):,} bytes, the limit is {self.payload_limit:,}")
        if self._codec is not None:
            return self._decode_with(self._codec, payload)
        try:
            arrived = self._read(payload)
            # No more colons than required arguments: no key can stand there twice, and nobody has to look.
            if payload.count(b":") != self._fewest_keys:
                refuse_doubled_keys(payload, arrived)
            values = astuple(arrived)
            return (values, {}) if self._all_positional else self._signature.call(values)
        except Exception as error:  # noqa: BLE001 - a payload comes from outside: nothing in it may stop a worker
            problem = _unreadable(error)
        raise UndecodablePayload(f"{self.name}: the stored arguments do not fit: {problem}")

    def encode_result(self, value: Any) -> bytes:
        """The bytes of what the function returned. Raises UnencodableResult."""
        return self._results.encode(value)

    def decode_result(self, data: bytes) -> Any:
        """What `encode_result` was given, typed by the return annotation. Raises UndecodablePayload."""
        return self._results.decode(data)

    def secrets(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str]:
        """The texts of every Secret in the arguments, for `secret.mask`."""
        return secret_texts((args, dict(kwargs))) if self._may_hold_secrets else []

    def _survives(self, given: msgspec.Struct, arrived: msgspec.Struct) -> bool:
        for one, other, shape in zip(astuple(given), astuple(arrived), self._in_order, strict=True):
            if type(one) is type(other) and shape.check is Check.TYPE:
                continue
            if one is not msgspec.UNSET and shape.difference(one, other):
                return False
        return True

    def _refusal(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> EnqueueError:
        """Finds out, parameter by parameter, what the hot path only noticed."""
        try:
            bound = self._signature.bind(args, kwargs)
        except BindingError as error:
            return InvalidArguments(f"{self.name}: {error}", error.field)
        for name, value in bound.items():
            if found := self._shapes[name].explain(value):
                return InvalidArguments(f"{self.name}: argument {name + found.path!r}: {found.text}", name)
        try:
            size = len(encode(self._pack(*args, **kwargs)))
        except Exception as error:  # noqa: BLE001 - one level deeper than each of them alone: too deep by that one
            return InvalidArguments(f"{self.name}: the arguments together: {encoding_problem(error)}")
        if size > self.payload_limit:
            return PayloadTooLarge(self.name, size, self.payload_limit)
        return InvalidArguments(f"{self.name}: the arguments do not survive the trip through JSON")

    def _encode_with(self, codec: Codec, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        try:
            payload = encode_with(codec, self._signature.bind(args, kwargs))
        except BindingError as error:
            raise InvalidArguments(f"{self.name}: {error}", error.field) from None
        except CodecFailed as error:
            raise InvalidArguments(f"{self.name}: {error}") from None
        if len(payload) > self.payload_limit:
            raise PayloadTooLarge(self.name, len(payload), self.payload_limit)
        return payload

    def _decode_with(self, codec: Codec, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        try:
            return self._signature.call(self._signature.values(decode_with(codec, payload)))
        except (BindingError, CodecFailed) as error:
            problem = str(error)
        except (TypeError, AttributeError):
            problem = "what its codec gives for the starred parameters is no array or no dict"
        raise UndecodablePayload(f"{self.name}: the stored arguments do not fit: {problem}")


_ALWAYS_SURVIVE = (bool, int, str)
"""Types whose every value either cannot be encoded or arrives as it was; not float, whose NaN becomes null."""


def _exact(shapes: Sequence[Shape]) -> tuple[type, ...] | None:
    """Return the parameters' types when values of exactly these need not be read back; None for other signatures."""
    kinds = tuple(shape.kind for shape in shapes)
    return kinds if all(kind in _ALWAYS_SURVIVE for kind in kinds) else None


def _shapes(function: Callable[..., Any], signature: Signature, name: str) -> dict[str, Shape]:
    """The shape of each parameter, and of "return" when it is annotated. Raises ConfigurationError."""
    kinds: dict[str, Any] = dict.fromkeys(signature.names, Any) | resolved_annotations(function, signature, name)
    if signature.var_positional:
        kinds[signature.var_positional] = GenericAlias(tuple, (kinds[signature.var_positional], ...))
    if signature.var_keyword:
        kinds[signature.var_keyword] = GenericAlias(dict, (str, kinds[signature.var_keyword]))
    shapes = {}
    for parameter, kind in kinds.items():
        try:
            shapes[parameter] = Shape(kind)
        except Unsupported as error:
            raise ConfigurationError(
                f"{where(name, parameter)}: {error}. Annotate it with a type that JSON can carry, or give the task a "
                "codec of its own."
            ) from None
    return shapes


def _unreadable(error: Exception) -> str:
    if isinstance(error, BindingError):
        return str(error)
    found = complaint(error)
    return f"{found.path.removeprefix('.')}: {found.text}" if found.path else found.text
