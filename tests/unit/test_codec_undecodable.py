"""Payloads that nobody means well by: undecodable, with a reason, whatever is in them (S12)."""

from __future__ import annotations

import contextlib
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comanda.codec import ArgumentCodec, UndecodablePayload, ValueCodec, redacted


def take(value: Any) -> Any: ...


def take_int(value: int) -> Any: ...


PAYLOADS = [
    (b"", "truncated"),
    (b"{", "truncated"),
    (b'{"value":"a', "truncated"),
    (b"[]", "expected `object`, got `array`"),
    (b"null", "expected `object`, got `null`"),
    (b"{}", "value: it is required and missing"),
    (b'{"value":1,"more":2}', "the field 'more' is unknown"),
    (b'{"value":1,"value":2}', "a key stands twice"),
    (b'{"value":1,"value" : 2}', "a key stands twice"),
    (b'{"value":{"a":[{"b":1,"b":2}]}}', "a key stands twice"),
    (b"[" * 200_000, "got `array`"),
    (b'{"value":' + b"[" * 200_000, "nested too deeply"),
    (b'{"value":' * 100_000, "nested too deeply"),
    (b'{"value":' + b"9" * 5000 + b"}", "out of range"),
    (b'{"value":1e400}', "out of range"),
    (b'{"value":NaN}', "malformed"),
    (b'{"value":"\\ud800"}', "truncated"),
    (b'{"value":"\\ud800\\u0041"}', "surrogate"),
    (b'{"value":"\xed\xa0\x80"}', "not UTF-8"),
    (b'{"value":"\xff"}', "not UTF-8"),
    (b"\x80\x04\x95pickle", "malformed"),
    (b'{"value":1}{"value":1}', "trailing"),
    (b"\x00abc", "malformed"),
    (b'{"' + b"k" * 100_000 + b'":1,"value":1}', "the field 'kkk"),
    (b'{"value":"' + b"x" * 1_048_576 + b'"}', "the limit is"),
]


@pytest.mark.parametrize(("payload", "words"), PAYLOADS, ids=count())
def test_s12_a_hostile_payload_is_undecodable_and_says_why(payload: bytes, words: str) -> None:
    with pytest.raises(UndecodablePayload, match=words) as caught:
        ArgumentCodec(take, name="shop.task").decode(payload)
    assert str(caught.value).startswith("shop.task: ")
    assert len(str(caught.value)) < 300
    redacted(payload)  # whatever it is, it can be shown


@pytest.mark.parametrize("payload", [b"", b"{", b'{"a":1,"a":2}', b"[" * 200_000, b'"\xff"', b"1e400", b"9" * 5000])
def test_s12_hostile_results_and_messages_are_undecodable_too(payload: bytes) -> None:
    with pytest.raises(UndecodablePayload, match=r"shop\.task: the stored result does not fit"):
        ArgumentCodec(take, name="shop.task").decode_result(payload)
    with pytest.raises(UndecodablePayload, match="letters: the stored message does not fit"):
        ValueCodec(name="letters").decode(payload)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_s12_random_bytes_are_decoded_or_refused(payload: bytes) -> None:
    for decode in (
        ArgumentCodec(take_int).decode,
        ValueCodec().decode,
        ArgumentCodec(take, name="shop.task").decode_result,
    ):
        with contextlib.suppress(UndecodablePayload):
            decode(payload)  # anything else that it raises fails the test
    assert isinstance(redacted(payload), str | int | float | list | dict | None)
