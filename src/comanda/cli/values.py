"""From `name=value` words to the arguments of a task, typed by its annotations."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from ..codec.shape import Shape, Unsupported
from ..codec.signature import Signature, resolved_annotations
from ..codec.wire import SECRET_KEY, encode
from ..errors import ConfigurationError, InvalidArguments
from ..task import Task

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def arguments(task: Task[..., Any], words: Sequence[str]) -> Arguments:
    """Return the positional and the named arguments that the words give.

    Each value is read as JSON if it is JSON that the annotation takes, else as a string; what neither fits is left for
    the enqueue to refuse. Raises ConfigurationError for a word without a name and InvalidArguments for a name given
    twice.
    """
    signature = Signature(task.function, task.name)
    shapes = _shapes(task, signature)
    given: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.isidentifier():
            raise ConfigurationError(f"{word!r}: arguments are written name=value")
        if name in given:
            raise InvalidArguments(f"{task.name}: argument {name!r} is given twice", name)
        given[name] = _typed(text, shapes.get(name, shapes.get(signature.var_keyword or "")))
    by_position = [name for name in signature.positional if name not in signature.by_keyword]
    args = [given.pop(name) for name in by_position if name in given]
    return tuple(args), given


def _shapes(task: Task[..., Any], signature: Signature) -> dict[str, Shape]:
    """Return the shapes of the annotated parameters; a codec of the task's own may take types that have none."""
    shapes = {}
    for name, annotation in resolved_annotations(task.function, signature, task.name).items():
        try:
            shapes[name] = Shape(annotation)
        except Unsupported:
            continue
    return shapes


def _typed(text: str, shape: Shape | None) -> Any:
    plain = list(_readings(text))
    if shape is None:
        return plain[0]
    candidates: list[Any] = [encode(value) for value in plain]
    if shape.secret:
        candidates += [encode({SECRET_KEY: value}) for value in plain]
    for data in candidates:
        try:
            return shape.decode(data)
        except Exception:  # noqa: BLE001, S112 - a class's own checks may raise anything; the next reading may fit
            continue
    return plain[0]


def _readings(text: str) -> Iterator[Any]:
    """Yield the text as JSON if it is JSON, then as the string it is."""
    with contextlib.suppress(ValueError, RecursionError):
        yield json.loads(text, parse_constant=_refuse)
    yield text


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
