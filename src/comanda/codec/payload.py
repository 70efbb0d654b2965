"""The two Structs behind a task's payload, compiled from its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from .shape import Shape
from .signature import Signature
from .wire import decoder

_IMMUTABLE = (type(None), bool, int, float, str, bytes)


def packer(signature: Signature) -> Callable[..., msgspec.Struct]:
    """Called like the function, gives a Struct with what was given: a field that was not is UNSET, and not encoded.

    Raises TypeError or BindingError when the arguments cannot be bound; a missing one shows only at decoding.
    """
    names = signature.names
    fields = _field_names(signature)
    struct: Callable[..., msgspec.Struct] = msgspec.defstruct(
        "Arguments",
        [
            (field, Any, msgspec.field(default=msgspec.UNSET, name=name))
            for field, name in zip(fields, names, strict=True)
        ],
        gc=False,
    )
    if fields == names:
        return struct

    def by_name(*args: Any, **kwargs: Any) -> msgspec.Struct:
        bound = signature.bind(args, kwargs)
        return struct(*[bound.get(name, msgspec.UNSET) for name in names])

    return by_name


def reader(signature: Signature, shapes: Mapping[str, Shape]) -> Callable[[bytes], msgspec.Struct]:
    """Decodes a payload into a Struct with one typed value for each parameter, the defaults filled in."""
    fields = [
        (field, shapes[name].kind, _typed_field(name, signature.defaults))
        for field, name in zip(_field_names(signature), signature.names, strict=True)
    ]
    struct = msgspec.defstruct(
        # omit_defaults, so that encoding it again mostly gives the very payload: see refuse_doubled_keys.
        "Arguments",
        fields,
        kw_only=True,
        forbid_unknown_fields=True,
        omit_defaults=True,
        gc=False,
    )
    return decoder(struct).decode


def _field_names(signature: Signature) -> tuple[str, ...]:
    """The parameters' own names where a Struct can be called with them, and safe ones otherwise.

    A Struct knows no positional-only parameters and no stars, and names such as `__slots__` mean something to it.
    """
    if signature.plain and not any(name.startswith("__") for name in signature.names):
        return signature.names
    return tuple(f"p{index}" for index in range(len(signature.names)))


def _typed_field(name: str, defaults: Mapping[str, Any]) -> Any:
    if name not in defaults:
        return msgspec.field(name=name)
    default = defaults[name]
    if isinstance(default, _IMMUTABLE):
        return msgspec.field(default=default, name=name)
    # The factory hands out the very object, as Python does: a default is often a sentinel that is compared by `is`.
    return msgspec.field(default_factory=lambda: default, name=name)
