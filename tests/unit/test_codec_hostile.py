"""Values that nobody means well by: a clear refusal, never another exception, and never a value in its text."""

from __future__ import annotations

import enum
import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Any, Literal

import msgspec
import pydantic
import pytest

from comanda.codec import ArgumentCodec, UndecodablePayload, UnencodableResult, ValueCodec
from comanda.errors import InvalidArguments

CANARY = "hunter2"


class Mood(enum.Enum):
    GOOD = "good"


class Loud:
    def __repr__(self) -> str:
        raise RuntimeError(CANARY)

    __str__ = __repr__


@dataclass
class Picky:
    value: str

    def __post_init__(self) -> None:
        if self.value == CANARY:
            raise ValueError(f"refused: {self.value}")


@dataclass
class Broken:
    value: str

    def __post_init__(self) -> None:
        if self.value == CANARY:
            raise RuntimeError(f"refused: {self.value}")


@dataclass(eq=False)
class Quarrelsome:
    value: int

    def __eq__(self, other: object) -> bool:
        raise RuntimeError(CANARY)

    __hash__ = None  # type: ignore[assignment]


class Rude(dict[str, int]):
    def __eq__(self, other: object) -> bool:
        raise RuntimeError(CANARY)

    __hash__ = None


class Moody:
    """Looks like a pydantic model, and cannot be dumped at the calls whose numbers it is given."""

    def __init__(self, *fails: int) -> None:
        self.fails = fails
        self.calls = 0

    def model_dump(self, **options: Any) -> dict[str, int]:
        self.calls += 1
        if self.calls in self.fails:
            raise RuntimeError(CANARY)
        return {}

    @classmethod
    def model_validate(cls, _data: object) -> Moody:
        return cls()


class Model(pydantic.BaseModel):
    value: Literal["good"]


def codec(annotation: Any = Any) -> ArgumentCodec:
    def task(value: Any) -> Any: ...

    task.__annotations__ = {"value": annotation, "return": annotation}
    return ArgumentCodec(task, name="shop.task")


def endless() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


HOSTILE = [
    (Any, endless(), "nested too deeply or contains itself"),
    (Any, deep(200_000), "nested too deeply"),
    (Any, "\ud800", "lone surrogate"),
    (Any, {"\udfff": 1}, "lone surrogate"),
    (int, 10**5000, "too many digits"),
    (Any, Loud(), "JSON has no form for Loud"),
    (Any, [Loud()], "JSON has no form for Loud"),
    (Any, {(1, 2): 3}, "no form for tuple as a dict's key"),
    (Any, math.nan, "NaN and infinity"),
    (float, math.inf, "NaN and infinity"),
    (float | None, -math.inf, "NaN and infinity"),
    (list[float], [1.0, math.nan], "NaN and infinity"),
    (dict[str, Any], {"a": [math.nan]}, "NaN and infinity"),
    (Decimal, Decimal("NaN"), "NaN and infinity"),
    (Decimal, Decimal("sNaN"), "NaN and infinity"),
    (list[Decimal], [Decimal("Infinity")], "NaN and infinity"),
    (msgspec.Raw, msgspec.Raw(b'{"broken'), "truncated|malformed"),
]


@pytest.mark.parametrize(("annotation", "value", "words"), HOSTILE, ids=count())
def test_a_hostile_value_is_refused_with_a_sentence(annotation: Any, value: object, words: str) -> None:
    with pytest.raises(InvalidArguments, match=words) as argument:
        codec(annotation).encode((value,), {})
    assert argument.value.field == "value"
    with pytest.raises(InvalidArguments, match=words):
        ValueCodec(annotation).encode(value)
    if annotation is not msgspec.Raw:
        with pytest.raises(UnencodableResult, match=words):
            codec(annotation).encode_result(value)


def test_values_whose_own_comparison_raises_are_compared_field_by_field() -> None:
    assert codec(Quarrelsome).encode((Quarrelsome(1),), {}) == b'{"value":{"value":1}}'
    assert codec(dict[str, int]).encode((Rude(a=1),), {}) == b'{"value":{"a":1}}'
    assert codec(list[Quarrelsome]).encode(([Quarrelsome(1)],), {}) == b'{"value":[{"value":1}]}'


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        ((1, 2), "argument 'value': encoding it raised RuntimeError"),
        ((1, 3), "the arguments together: encoding it raised RuntimeError"),
        ((1,), "the arguments do not survive the trip"),
    ],
    ids=count(),
)
def test_a_value_that_fails_at_one_try_and_not_at_the_next_is_refused(fails: tuple[int, ...], words: str) -> None:
    with pytest.raises(InvalidArguments, match=words):
        codec(Moody).encode((Moody(*fails),), {})
    with pytest.raises(InvalidArguments, match=r"raised RuntimeError|does not survive the trip"):
        ValueCodec(Moody).encode(Moody(*fails))


def spoiled(kind: Any) -> Any:
    """An instance that its own class would refuse, and whose refusal quotes the value."""
    instance = kind("fine")
    instance.value = CANARY
    return instance


def texts(error: BaseException | None) -> Iterator[str]:
    while error is not None:
        yield from (str(error), repr(error.args), *getattr(error, "__notes__", ()))
        error = error.__cause__ or error.__context__


LEAKY = [
    (Mood, CANARY),
    (Literal["good"], CANARY),
    (dict[str, Mood], {CANARY: CANARY}),
    (int, CANARY),
    (list[int], [CANARY]),
    (dict[int, int], {CANARY: 1}),
    (Picky, spoiled(Picky)),
    (Broken, spoiled(Broken)),
    (Model, CANARY),
    (Model, Model.model_construct(value=CANARY)),
    (str, CANARY + "\ud800"),
    (Any, Loud()),
    (dict[str, Mood], {"a": {CANARY: 1}}),
]


@pytest.mark.parametrize(("annotation", "value"), LEAKY, ids=count())
def test_s14_no_error_holds_an_argument_value(annotation: Any, value: object) -> None:
    with pytest.raises(InvalidArguments) as argument:
        codec(annotation).encode((value,), {})
    with pytest.raises(InvalidArguments) as message:
        ValueCodec(annotation).encode(value)
    assert CANARY not in "\n".join([*texts(argument.value), *texts(message.value)])


@pytest.mark.parametrize("annotation", [Mood, Literal["good"], int, list[int], Picky, Broken, Model], ids=count())
def test_s14_no_decoding_error_holds_a_value(annotation: Any) -> None:
    inner = b'{"value":"hunter2"}' if isinstance(annotation, type) and annotation not in (Mood, int) else b'"hunter2"'
    with pytest.raises(UndecodablePayload, match=r"shop\.task: the stored arguments do not fit: ") as payload:
        codec(annotation).decode(b'{"value":' + inner + b"}")
    with pytest.raises(UndecodablePayload) as result:
        codec(annotation).decode_result(inner)
    assert CANARY not in "\n".join([*texts(payload.value), *texts(result.value)])


def taken(value: object) -> bool:
    """Whether the codec takes the value, and then reads what it wrote; a refusal must name the depth."""
    try:
        payload = codec().encode((value,), {})
    except InvalidArguments as error:
        return "nested too deeply" not in str(error)
    (arrived,), kwargs = codec().decode(payload)
    return isinstance(arrived, list) and not kwargs


def test_values_are_taken_up_to_a_depth_and_refused_by_name_beyond() -> None:
    # Where the depth ends differs between versions of Python: look for it, then look closely around it.
    end = bisect_left(range(200_000), True, key=lambda levels: not taken(deep(levels)))
    assert 100 < end < 200_000
    verdicts = [taken(deep(levels)) for levels in range(end - 20, end + 20)]
    assert verdicts == sorted(verdicts, reverse=True)
    assert verdicts[0]
    assert not verdicts[-1]
