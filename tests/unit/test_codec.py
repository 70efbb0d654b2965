"""A task's arguments: what goes in comes out, and what does not fit is refused with the field named."""

from __future__ import annotations

import datetime as dt
import enum
import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comanda.codec import ArgumentCodec
from comanda.errors import InvalidArguments

T = TypeVar("T")


class Colour(enum.Enum):
    RED = "red"


class TextColour(str, enum.Enum):  # noqa: UP042 - the mixin is the case: its members equal plain texts
    RED = "red"


class Point(NamedTuple):
    x: int
    label: bytes = b""


class Letter(TypedDict):
    to: str
    attachment: NotRequired[bytes]


@dataclass
class User:
    name: str
    born: dt.date | None = None
    friends: list[User] = field(default_factory=list)


@dataclass
class Admin(User):
    level: int = 1


class Item(msgspec.Struct):
    id: UUID
    price: Decimal


class Box(msgspec.Struct, Generic[T]):
    content: T


class Order(pydantic.BaseModel):
    number: int = pydantic.Field(alias="orderNumber")
    at: dt.datetime


class Login(pydantic.BaseModel):
    token: pydantic.SecretStr


NOW = dt.datetime(2026, 11, 21, 9, 30, 15, 123456, tzinfo=dt.UTC)
ID = UUID("12345678-1234-5678-1234-567812345678")


def codec(annotation: Any) -> ArgumentCodec:
    """The codec of a function `task(value: annotation)`."""

    def task(value: Any) -> None: ...

    task.__annotations__ = {"value": annotation}
    return ArgumentCodec(task, name="shop.task")


def trip(annotation: Any, value: object) -> object:
    encoder = codec(annotation)
    args, kwargs = encoder.decode(encoder.encode((value,), {}))
    assert kwargs == {}
    return args[0]


def refusal(call: Callable[[], object]) -> InvalidArguments:
    with pytest.raises(InvalidArguments) as caught:
        call()
    return caught.value


ROUND_TRIPS = [
    (int, 2**70),
    (float, 0.1),
    (bool, True),
    (str, "grüße\0"),
    (bytes, b"\x00\xff"),
    (type(None), None),
    (dt.datetime, NOW),
    (dt.date, NOW.date()),
    (dt.time, NOW.time()),
    (dt.timedelta, dt.timedelta(days=-1, microseconds=1)),
    (UUID, ID),
    (Decimal, Decimal("1.50")),
    (Colour, Colour.RED),
    (TextColour, TextColour.RED),
    (pathlib.Path, pathlib.Path("a/b")),
    (pathlib.PurePosixPath, pathlib.PurePosixPath("a/b")),
    (Literal["a", 1], "a"),
    (Annotated[int, msgspec.Meta(ge=0)], 0),
    (int | None, None),
    (int | str, "a"),
    (list[int], [1, 2]),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2)),
    (set[UUID], {ID}),
    (frozenset[Decimal], frozenset({Decimal(1)})),
    (dict[str, list[dt.date]], {"a": [NOW.date()]}),
    (dict[int, str], {1: "a"}),
    (Sequence[str], ["a"]),
    (Mapping[UUID, int], {ID: 1}),
    (Letter, {"to": "ann", "attachment": b"x"}),
    (Point, Point(1, b"x")),
    (User, User("ann", NOW.date(), [User("bob")])),
    (Item, Item(ID, Decimal("9.90"))),
    (Box[Colour], Box(Colour.RED)),
    (list[Order], [Order(orderNumber=1, at=NOW)]),
    (Any, {"a": [1, None, 2.5, True, {"b": "c"}]}),
    (object, "anything"),
    (dict[str, object], {"a": [1]}),
]


@pytest.mark.parametrize(("annotation", "value"), ROUND_TRIPS, ids=count())
def test_a_value_of_the_annotated_type_comes_out_as_it_went_in(annotation: Any, value: object) -> None:
    arrived = trip(annotation, value)
    assert arrived == value
    assert type(arrived) is type(value)


LENIENT = [
    (float, 1, 1.0),
    (list[int], (1, 2), [1, 2]),
    (tuple[int, ...], [1, 2], (1, 2)),
    (Any, [(1,)], [[1]]),
    (frozenset[int], {1}, frozenset({1})),
    (str, TextColour.RED, "red"),
    (pathlib.PurePath, pathlib.Path("a"), pathlib.PurePath("a")),
]


@pytest.mark.parametrize(("annotation", "value", "arrives"), LENIENT, ids=count())
def test_what_a_checker_would_let_pass_arrives_as_the_annotation_says(
    annotation: Any, value: object, arrives: object
) -> None:
    arrived = trip(annotation, value)
    assert arrived == arrives
    assert type(arrived) is type(arrives)


REFUSED = [
    (int, "1", "expected int, got str"),
    (int, 1.0, "expected int, got float"),
    (int, True, "expected int, got bool"),
    (int, None, "expected int, got None"),
    (str, b"ab", "expected str, got bytes"),
    (bytes, "YQ==", "expected bytes, got str"),
    (str, NOW, "expected str, got datetime"),
    (dt.datetime, "2026-01-01T00:00:00Z", "expected datetime.datetime, got str"),
    (dt.timedelta, 5, "expected datetime.timedelta, got int"),
    (UUID, str(ID), "expected uuid.UUID, got str"),
    (Decimal, 0.5, "expected decimal.Decimal, got float"),
    (Decimal, "0.5", "expected decimal.Decimal, got str"),
    (pathlib.Path, "a", "Path, got str"),
    (Colour, "red", "Colour, got str"),
    (TextColour, "red", "TextColour, got str"),
    (int, Colour.RED, "expected int, got Colour"),
    (list[int], {1}, "expected list[int], got set"),
    (set[int], [1], "expected set[int], got list"),
    (set[Decimal], {1}, "expected Decimal, got int"),
    (User, {"name": "ann"}, "User, got dict"),
    (User, Admin("ann"), "User, got Admin"),
    (Order, {"orderNumber": 1}, "Order, got dict"),
    (Login, Login(token=pydantic.SecretStr("x")), "its JSON form leaves something out"),
    (Point, (1,), "Point, got tuple (its length changes)"),
    (set[UUID], {str(ID)}, "an item of type str would be changed"),
    (dict[str, int], {1: 1}, "a key of type int would be lost or changed"),
    (Letter, {"to": "ann", "cc": "bob"}, "a key of type str would be lost or changed"),
    (Annotated[int, msgspec.Meta(ge=0)], -1, "expected `int` >= 0"),
    (tuple[int, str], (1,), "`array` of length 2"),
    (Any, NOW, "got datetime; annotate it with its type"),
    (Any, {1: 2}, "a dict with str keys, got dict"),
    (Any, {1, 2}, "got set; annotate"),
    (Any, User("ann"), "got User; annotate"),
    (Any, b"ab", "got bytes; annotate"),
    (dict[str, Any], {"at": NOW}, "where the annotation says Any, use None, bool"),
]


@pytest.mark.parametrize(("annotation", "value", "words"), REFUSED, ids=count())
def test_a_value_of_another_type_is_refused_and_the_types_are_named(annotation: Any, value: object, words: str) -> None:
    error = refusal(lambda: codec(annotation).encode((value,), {}))
    assert error.field == "value"
    assert str(error).startswith("shop.task: argument 'value")
    assert words in str(error)


@pytest.mark.parametrize(
    ("annotation", "value", "place"),
    [
        (list[int], [1, "x"], "value[1]"),
        (list[User], [User("ann"), {"name": "bob"}], "value[1]"),
        (User, User("ann", friends=[User(5)]), "value.friends[0].name"),  # type: ignore[arg-type]
        (dict[str, bytes], {"hidden": "YQ=="}, "value[...]"),
        (Letter, {}, "value.to"),
    ],
    ids=count(),
)
def test_the_place_inside_an_argument_is_named(annotation: Any, value: object, place: str) -> None:
    error = refusal(lambda: codec(annotation).encode((value,), {}))
    assert f"argument '{place}':" in str(error)
    assert error.field == "value"


def test_times_in_the_hour_that_a_clock_change_repeats_are_taken() -> None:
    repeated = dt.datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))  # == is False between zones there
    arrived = trip(dt.datetime, repeated)
    assert isinstance(arrived, dt.datetime)
    assert arrived.astimezone(dt.UTC) == repeated.astimezone(dt.UTC)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_every_json_value_survives_without_an_annotation(value: object) -> None:
    assert trip(Any, value) == value


@given(
    st.dictionaries(
        st.uuids(),
        st.tuples(st.decimals(allow_nan=False, allow_infinity=False), st.datetimes(timezones=st.just(dt.UTC))),
    )
)
def test_nested_typed_values_survive(value: dict[UUID, tuple[Decimal, dt.datetime]]) -> None:
    assert trip(dict[UUID, tuple[Decimal, dt.datetime]], value) == value
