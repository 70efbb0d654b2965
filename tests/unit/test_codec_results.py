"""What a task returns: by its annotation, and with less ado where there is none."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from typing import Any, NoReturn

import pytest

from comanda.codec import ArgumentCodec, UndecodablePayload, UnencodableResult
from comanda.secret import Secret

NOW = dt.datetime(2026, 11, 21, 9, 30, tzinfo=dt.UTC)
UNANNOTATED = object()


@dataclass
class Report:
    at: dt.datetime
    details: dict[str, Any]
    key: Secret[str]


def codec(annotation: Any = UNANNOTATED, **options: Any) -> ArgumentCodec:
    def task() -> Any: ...

    task.__annotations__ = {} if annotation is UNANNOTATED else {"return": annotation}
    return ArgumentCodec(task, name="shop.task", **options)


TYPED = [
    (None, None),
    (int, 1),
    (bytes, b"\x00\xff"),
    (list[dt.datetime], [NOW]),
    (Secret[int], Secret(5)),
    (dict[str, Secret[bytes]], {"key": Secret(b"x")}),
    (Report, Report(NOW, {"rows": [1, 2]}, Secret("x"))),
    (dict[str, Any], {"rows": [1, None]}),
    (NoReturn, None),
]


@pytest.mark.parametrize(("annotation", "value"), TYPED, ids=count())
def test_a_result_comes_back_as_its_annotation_says(annotation: Any, value: object) -> None:
    results = codec(annotation)
    arrived = results.decode_result(results.encode_result(value))
    assert arrived == value
    assert type(arrived) is type(value)


UNTYPED = [
    (None, b"null", None),
    ((1, "a"), b'[1,"a"]', [1, "a"]),
    ({"at": NOW}, b'{"at":"2026-11-21T09:30:00Z"}', {"at": "2026-11-21T09:30:00Z"}),
    (b"\x00\xff", b'{"$bytes":"AP8="}', b"\x00\xff"),
    ({"$bytes": 1, "more": 2}, b'{"$bytes":1,"more":2}', {"$bytes": 1, "more": 2}),
    ({"$secret": 1}, b'{"$secret":1}', {"$secret": 1}),
    (Decimal("1.50"), b'"1.50"', "1.50"),
]


@pytest.mark.parametrize("annotation", [UNANNOTATED, Any, object], ids=count())
@pytest.mark.parametrize(("value", "data", "arrives"), UNTYPED, ids=count())
def test_a_result_without_annotation_becomes_plain_json_and_bytes_stay_bytes(
    annotation: Any, value: object, data: bytes, arrives: object
) -> None:
    results = codec(annotation)
    assert results.encode_result(value) == data
    assert results.decode_result(data) == arrives


REFUSED: list[tuple[Any, object, str]] = [
    (int, "1", "expected int, got str"),
    (None, 1, "got int"),
    (bytes, "YQ==", "expected bytes, got str"),
    (dt.datetime, "2026-01-01T00:00:00Z", "expected datetime.datetime, got str"),
    (list[int], [1, "x"], r"at \[1\]: expected `int`, got `str`"),
    (dict[str, Any], [1], "got list"),
    (dict[str, Any], {"at": NOW, "ratio": math.nan}, "NaN and infinity"),
    (Any, Decimal("Infinity"), "NaN and infinity"),
    (Any, Secret("hunter2"), r"got Secret\[str\]; annotate it"),
    (Any, {"key": Secret("hunter2")}, r"got Secret\[str\]; annotate it"),
    (dict[str, Any], {"key": Secret("hunter2")}, r"got Secret\[str\]; where the annotation says Any"),
    (Any, {"$bytes": "hunter2"}, "stands for bytes; annotate the result"),
    (Secret[str], "hunter2", r"expected Secret\[str\], got str"),
]


@pytest.mark.parametrize(("annotation", "value", "words"), REFUSED, ids=count())
def test_a_result_that_would_come_back_changed_fails_with_a_sentence(
    annotation: Any, value: object, words: str
) -> None:
    with pytest.raises(UnencodableResult, match=words) as caught:
        codec(annotation).encode_result(value)
    assert str(caught.value).startswith("shop.task: what it returned cannot be stored: ")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_result_over_the_limit_is_refused_on_both_sides() -> None:
    results = codec(str, result_limit=5)
    assert results.decode_result(results.encode_result("abc")) == "abc"
    with pytest.raises(UnencodableResult, match=r"shop\.task returned 6 bytes encoded, the limit is 5\. Store"):
        results.encode_result("abcd")
    with pytest.raises(UndecodablePayload, match=r"a result of 6 bytes, the limit is 5"):
        results.decode_result(b'"abcd"')


@pytest.mark.parametrize("annotation", [int, Report], ids=count())
def test_a_stored_result_of_another_type_is_undecodable(annotation: Any) -> None:
    with pytest.raises(UndecodablePayload, match=r"^shop\.task: the stored result does not fit: expected"):
        codec(annotation).decode_result(b'"hunter2"')
