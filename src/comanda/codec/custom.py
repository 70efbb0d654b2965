"""A codec of one's own, and what is refused as one."""

from __future__ import annotations

from types import FunctionType, ModuleType
from typing import Any, Protocol

from ..errors import ConfigurationError

_EXECUTES_CODE = frozenset({"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle"})


class Codec(Protocol):
    """Turns values into bytes and back, for one task or message queue.

    A task's `encode` gets the arguments as a dict by name, without those that were left out, and `decode` gives such a
    dict back; both are used for the result as well. `content_type` is stored with the job: a worker whose task
    declares another one refuses to decode.
    """

    content_type: str

    def encode(self, value: Any) -> bytes:
        """The bytes of a value."""
        ...

    def decode(self, data: bytes) -> Any:
        """The value of those bytes."""
        ...


def check_codec(codec: object) -> None:
    """Refuses what is no codec, and every codec that runs code from the data it reads (S1). Raises ConfigurationError.

    It finds pickle and its kin as a module, as a class's base, as the method itself or used in the method's body.
    """
    if banned := _banned(codec):
        raise ConfigurationError(
            f"a codec that uses {banned} is refused: whoever can write to the store could run code in the workers. "
            "Use JSON (the default), or a format that holds data only."
        )
    content_type, *methods = (getattr(codec, name, None) for name in ("content_type", "encode", "decode"))
    if isinstance(codec, type) or not all(map(callable, methods)):
        raise ConfigurationError(
            f"{_name(codec)} does not fit: a codec is an object with content_type, encode(value) and decode(data)"
        )
    if not isinstance(content_type, str) or not content_type:
        raise ConfigurationError(f"{_name(codec)}: content_type must be a text such as 'application/msgpack'")


class CodecFailed(Exception):
    """A codec raised, or gave something of the wrong type. The message names types only: its own may quote values."""


def encode_with(codec: Codec, value: Any) -> bytes:
    """The bytes that a codec gives for a value. Raises CodecFailed."""
    try:
        data: object = codec.encode(value)
    except Exception as error:  # noqa: BLE001 - it is the user's code
        problem = f"{_name(codec)} raised {type(error).__name__} at encoding"
    else:
        if isinstance(data, bytes):
            return data
        problem = f"{_name(codec)} encodes to {type(data).__name__} instead of bytes"
    raise CodecFailed(problem)  # outside the handler: the codec's own exception may quote the value


def decode_with(codec: Codec, data: bytes) -> Any:
    """The value that a codec reads from bytes. Raises CodecFailed."""
    try:
        return codec.decode(data)
    except Exception as error:  # noqa: BLE001 - it is the user's code, and the bytes come from outside
        problem = f"{_name(codec)} raised {type(error).__name__} at decoding"
    raise CodecFailed(problem)


def _banned(codec: object) -> str | None:
    """The module that runs code from data, when this codec uses one."""
    bases = codec.__mro__ if isinstance(codec, type) else type(codec).__mro__
    suspects: list[object] = [codec, *bases]
    for name in ("encode", "decode"):
        method = getattr(codec, name, None)
        suspects += [method, *_used_by(getattr(method, "__func__", method))]
    return next((module for module in map(_module, suspects) if module in _EXECUTES_CODE), None)


def _used_by(function: object) -> list[object]:
    """What a Python function refers to: the globals it names, and the names it imports in its body."""
    if not isinstance(function, FunctionType):
        return []
    names = function.__code__.co_names
    return [function.__globals__[name] for name in names if name in function.__globals__] + [
        ModuleType(name) for name in names if name in _EXECUTES_CODE and name not in function.__globals__
    ]


def _module(suspect: object) -> str:
    """The top-level module that an object is, or comes from."""
    name = suspect.__name__ if isinstance(suspect, ModuleType) else getattr(suspect, "__module__", None)
    return name.partition(".")[0] if isinstance(name, str) else ""


def _name(codec: object) -> str:
    return f"the codec {getattr(codec, '__name__', type(codec).__name__)}"
