"""A function's parameters: how arguments are bound to names, and how names become a call again."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from ..errors import ConfigurationError

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class BindingError(Exception):
    """The arguments do not fit the parameters. `field` is the parameter's name, None when there is none to name."""

    def __init__(self, message: str, field: str | None) -> None:
        super().__init__(message)
        self.field = field


class Signature:
    """What a function takes.

    `names` has every parameter in order and `defaults` the values of those that may be left out, a `*args` or
    `**kwargs` included. `plain` is True when all of them can be given by position and by keyword.
    Raises ConfigurationError when the function tells no signature.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        try:
            signature = inspect.signature(function)
        except Exception as error:  # from Python 3.14 on, this is where an unknown name in an annotation shows
            raise ConfigurationError(f"{name}: its parameters cannot be read: {error}") from error
        parameters = signature.parameters.values()
        self.annotations = {p.name: p.annotation for p in parameters if p.annotation is not p.empty}
        if signature.return_annotation is not signature.empty:
            self.annotations["return"] = signature.return_annotation
        self.names = tuple(parameter.name for parameter in parameters)
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self.positional = tuple(p.name for p in parameters if p.kind in _POSITIONAL)
        self.keyword_only = tuple(p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY)
        self.by_keyword = frozenset(p.name for p in parameters if p.kind in _BY_KEYWORD)
        self.var_positional = _only(parameters, inspect.Parameter.VAR_POSITIONAL)
        self.var_keyword = _only(parameters, inspect.Parameter.VAR_KEYWORD)
        if self.var_positional:
            self.defaults[self.var_positional] = ()
        if self.var_keyword:
            self.defaults[self.var_keyword] = {}
        self.required = tuple(name for name in self.names if name not in self.defaults)
        self.plain = all(parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name, without those that were left out. Raises BindingError."""
        bound = dict(zip(self.positional, args, strict=False))
        if extra := args[len(self.positional) :]:
            if self.var_positional is None:
                raise BindingError(f"it takes {len(self.positional)} arguments by position, got {len(args)}", None)
            bound[self.var_positional] = extra
        rest = {}
        for name, value in kwargs.items():
            if name not in self.by_keyword:
                rest[name] = value
            elif name in bound:
                raise BindingError(f"argument {name!r} is given twice, by position and by name", name)
            else:
                bound[name] = value
        if rest:
            if self.var_keyword is None:
                unexpected = next(iter(rest))
                raise BindingError(f"it has no argument {unexpected!r} that can be given by name", unexpected)
            bound[self.var_keyword] = rest
        for name in self.required:
            if name not in bound:
                raise BindingError(f"argument {name!r} is missing", name)
        return bound

    def call(self, values: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """`(args, kwargs)` for a call, from one value for each of `names`. Raises BindingError."""
        by_name = dict(zip(self.names, values, strict=True))
        args = values[: len(self.positional)]
        if self.var_positional:
            args += tuple(by_name[self.var_positional])
        kwargs = {name: by_name[name] for name in self.keyword_only}
        if self.var_keyword:
            rest = by_name[self.var_keyword]
            if doubled := self.by_keyword & rest.keys():
                name = min(doubled)
                raise BindingError(f"argument {name!r} is there twice", name)
            kwargs.update(rest)
        return args, kwargs

    def values(self, bound: object) -> tuple[Any, ...]:
        """One value for each of `names`, the defaults filled in, from what a codec gave. Raises BindingError."""
        if not isinstance(bound, dict):
            raise BindingError(f"they are a {type(bound).__name__}, not a dict by name", None)
        for name in bound:
            if name not in self.names:
                raise BindingError(f"it has no argument {name!r}", name)
        for name in self.required:
            if name not in bound:
                raise BindingError(f"argument {name!r} is missing", name)
        return tuple(bound[name] if name in bound else self.defaults[name] for name in self.names)


def resolved_annotations(function: Callable[..., Any], signature: Signature, name: str) -> dict[str, Any]:
    """The annotations by parameter, and under "return", with every name in them resolved.

    Raises ConfigurationError naming the task and the parameter.
    """
    inner: Any = inspect.unwrap(function)  # as the signature, for a decorated function
    type_parameters = getattr(inner, "__type_params__", ())
    resolved: dict[str, Any] = {}
    for parameter, annotation in signature.annotations.items():
        # One at a time, so that the error can say which one it was.
        holder = SimpleNamespace(__annotations__={parameter: annotation}, __type_params__=type_parameters)
        try:
            found = typing.get_type_hints(holder, getattr(inner, "__globals__", {}), include_extras=True)
        except Exception as error:
            raise ConfigurationError(
                f"{where(name, parameter)}: the annotation {annotation!r} cannot be resolved ({error}). Names that "
                "are imported under TYPE_CHECKING or defined inside a function do not exist at run time."
            ) from error
        resolved[parameter] = found[parameter]
    return resolved


def where(name: str, parameter: str) -> str:
    """How errors name a parameter, or what a function returns, at its declaration."""
    return f"{name}: the result" if parameter == "return" else f"{name}: parameter {parameter!r}"


def _only(parameters: typing.Iterable[inspect.Parameter], kind: Any) -> str | None:
    return next((parameter.name for parameter in parameters if parameter.kind is kind), None)
