"""Every kind of parameter: how a call becomes a payload, and the payload a call."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from comanda.codec import ArgumentCodec, UndecodablePayload
from comanda.errors import ConfigurationError, InvalidArguments, PayloadTooLarge

MARKER = object()


def simple(number: int, text: str = "a") -> None: ...


def keywords(number: int, *, flag: bool, day: dt.date | None = None) -> None: ...


def starred(number: int, text: str = "a", *rest: float, flag: bool = False, **options: int) -> None: ...


def positional(number: int, /, text: str, **options: int) -> None: ...


def oddly_named(_private: int, __mangled: int, self: int, __slots__: int = 1, *, __dict__: int = 2) -> None: ...


def untyped(value, other=MARKER):  # type: ignore[no-untyped-def]
    return value, other


def nothing() -> None: ...


def call(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


CALLS: list[tuple[Callable[..., Any], Any, bytes, Any]] = [
    (nothing, call(), b"{}", call()),
    (simple, call(1), b'{"number":1}', call(1, "a")),
    (simple, call(text="b", number=1), b'{"number":1,"text":"b"}', call(1, "b")),
    (simple, call(1, "a"), b'{"number":1,"text":"a"}', call(1, "a")),
    (keywords, call(1, flag=True), b'{"number":1,"flag":true}', call(1, flag=True, day=None)),
    (starred, call(1), b'{"number":1}', call(1, "a", flag=False)),
    (
        starred,
        call(1, "b", 2, 2.5, flag=True, x=3),
        b'{"number":1,"text":"b","rest":[2,2.5],"flag":true,"options":{"x":3}}',
        call(1, "b", 2.0, 2.5, flag=True, x=3),
    ),
    (
        starred,
        call(1, rest=5, options=6),
        b'{"number":1,"options":{"rest":5,"options":6}}',
        call(1, "a", flag=False, rest=5, options=6),
    ),
    (positional, call(1, "a", number=2), b'{"number":1,"text":"a","options":{"number":2}}', call(1, "a", number=2)),
    (oddly_named, call(1, 2, 3), b'{"_private":1,"__mangled":2,"self":3}', call(1, 2, 3, 1, __dict__=2)),
    (
        oddly_named,
        call(1, 2, self=3, __dict__=4),
        b'{"_private":1,"__mangled":2,"self":3,"__dict__":4}',
        call(1, 2, 3, 1, __dict__=4),
    ),
    (untyped, call({"a": 1}), b'{"value":{"a":1}}', call({"a": 1}, MARKER)),
]


@pytest.mark.parametrize(("function", "given", "payload", "arrives"), CALLS, ids=count())
def test_arguments_are_stored_by_name_without_those_left_out(
    function: Callable[..., Any], given: Any, payload: bytes, arrives: Any
) -> None:
    codec = ArgumentCodec(function)
    assert codec.encode(*given) == payload
    assert codec.decode(payload) == arrives
    function(*arrives[0], **arrives[1])  # what comes out is ready for the call


def test_the_default_that_applies_is_the_workers_own_object() -> None:
    (_, other), _ = ArgumentCodec(untyped).decode(b'{"value":1}')
    assert other is MARKER


MISTAKES: list[tuple[Callable[..., Any], Any, str | None, str]] = [
    (simple, call(), "number", "argument 'number' is missing"),
    (keywords, call(1), "flag", "argument 'flag' is missing"),
    (simple, call(1, number=2), "number", "argument 'number' is given twice, by position and by name"),
    (simple, call(1, colour=2), "colour", "it has no argument 'colour' that can be given by name"),
    (positional, call(text="a"), "number", "argument 'number' is missing"),
    (simple, call(1, "a", 2), None, "it takes 2 arguments by position, got 3"),
    (starred, call(1, "a", "x"), "rest", "argument 'rest[0]': expected `float`, got `str`"),
    (starred, call(1, x="y"), "options", "argument 'options[...]': expected `int`, got `str`"),
]


@pytest.mark.parametrize(("function", "given", "field", "words"), MISTAKES, ids=count())
def test_arguments_that_do_not_bind_are_refused_with_the_field_named(
    function: Callable[..., Any], given: Any, field: str | None, words: str
) -> None:
    with pytest.raises(InvalidArguments) as caught:
        ArgumentCodec(function, name="shop.task").encode(*given)
    assert caught.value.field == field
    assert str(caught.value) == f"shop.task: {words}"


def test_arguments_over_the_limit_are_refused_with_both_sizes() -> None:
    def task(text: str) -> None: ...

    limited = ArgumentCodec(task, payload_limit=20, name="shop.task")
    assert limited.encode(("x" * 9,), {}) == b'{"text":"xxxxxxxxx"}'
    with pytest.raises(PayloadTooLarge, match=r"shop\.task: 21 bytes encoded, the limit is 20") as caught:
        limited.encode(("x" * 10,), {})
    assert (caught.value.size, caught.value.limit) == (21, 20)


def test_a_parameter_added_with_a_default_reads_old_payloads_and_a_removed_one_is_named() -> None:
    old = ArgumentCodec(nothing).encode((), {})
    assert ArgumentCodec(starred, name="new").decode(b'{"number":1}')[0] == (1, "a")
    with pytest.raises(UndecodablePayload, match=r"new: the stored arguments do not fit: number: it is required"):
        ArgumentCodec(simple, name="new").decode(old)
    with pytest.raises(UndecodablePayload, match=r"argument 'text' is there twice"):
        ArgumentCodec(starred, name="new").decode(b'{"number":1,"options":{"text":2}}')
    with pytest.raises(UndecodablePayload, match=r"the field 'number' is unknown"):
        ArgumentCodec(nothing, name="new").decode(b'{"number":1}')


def test_a_decorated_function_has_the_parameters_of_the_one_inside() -> None:
    @functools.wraps(keywords)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        keywords(*args, **kwargs)

    assert ArgumentCodec(wrapper).encode((1,), {"flag": True, "day": dt.date(2026, 1, 2)}) == (
        b'{"number":1,"flag":true,"day":"2026-01-02"}'
    )


def test_a_method_takes_self_like_any_argument() -> None:
    class Shop:
        def close(self, hour: int) -> None: ...

    codec = ArgumentCodec(Shop.close)
    assert codec.name.endswith("Shop.close")
    with pytest.raises(InvalidArguments, match=r"'self'.*got Shop|JSON has no form for Shop"):
        codec.encode((Shop(), 1), {})


def annotated(annotation: Any, parameter: str = "value") -> Callable[..., Any]:
    def task(value: Any) -> None: ...

    task.__annotations__ = {parameter: annotation}
    return task


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (complex, "complex has no JSON form"),
        (list[complex], "complex has no JSON form"),
        (Callable[[], int], "Callable has no JSON form"),
        (dict[tuple[int, int], str], "a dict with keys of type Tuple has no JSON form"),
        (bytes | str, "more than one str-like type"),
        ("Missing", "'Missing' cannot be resolved"),
        ("list[Missing]", "imported under TYPE_CHECKING"),
        ("1 +", "cannot be resolved"),
    ],
    ids=count(),
)
def test_an_annotation_that_json_cannot_carry_is_refused_where_the_task_is_declared(
    annotation: Any, words: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ArgumentCodec(annotated(annotation), name="shop.task")
    assert str(caught.value).startswith("shop.task: parameter 'value': ")
    assert words in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"^shop\.task: the result: "):
        ArgumentCodec(annotated(annotation, "return"), name="shop.task")


def test_a_function_that_tells_no_signature_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^builtins\.type: its parameters cannot be read"):
        ArgumentCodec(type)
