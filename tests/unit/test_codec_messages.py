"""Messages, codecs of one's own, and what is shown of a payload."""

from __future__ import annotations

import datetime as dt
import json
import marshal
import pickle  # noqa: TID251 - to prove that it is refused
import shelve
from dataclasses import dataclass
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import Annotated, Any

import msgspec
import pytest

from comanda.codec import ArgumentCodec, UndecodablePayload, UnencodableResult, ValueCodec, check_codec, redacted
from comanda.errors import ConfigurationError, InvalidArguments, PayloadTooLarge
from comanda.secret import MASK, Secret


@dataclass
class Letter:
    to: str
    pages: int = 1


class Reversed:
    """JSON, read from the end: not to be taken for JSON."""

    content_type = "application/x-reversed"

    def encode(self, value: Any) -> bytes:
        return json.dumps(value).encode()[::-1]

    def decode(self, data: bytes) -> Any:
        return json.loads(data[::-1])


class Broken:
    content_type = "application/x-broken"

    def encode(self, value: Any) -> bytes:
        raise RuntimeError(f"hunter2 {value}")

    decode = encode


def charge(card: str, amount: int = 5, *rest: int, note: str = "", **more: int) -> None: ...


MESSAGES: list[tuple[Any, object, bytes]] = [
    (Any, {"to": "ann"}, b'{"to":"ann"}'),
    (Any, None, b"null"),
    (Any, b"123", b"\x00123"),  # not the number 123
    (Any, b"", b"\x00"),
    (bytes, b"\x00\xff", b"\x00\x00\xff"),
    (bytes | None, b"ab", b"\x00ab"),
    (bytes | None, None, b"null"),
    (Annotated[bytes, msgspec.Meta(description="a file")], b"ab", b"\x00ab"),
    (Annotated[bytes, msgspec.Meta(max_length=2)], b"ab", b'"YWI="'),  # read by the decoder, which checks the length
    (Letter, Letter("ann"), b'{"to":"ann","pages":1}'),
    (list[dt.date], [dt.date(2026, 1, 2)], b'["2026-01-02"]'),
    (Secret[str], Secret("x"), b'{"$secret":"x"}'),
]


@pytest.mark.parametrize(("kind", "value", "payload"), MESSAGES, ids=count())
def test_a_message_comes_out_as_it_went_in(kind: Any, value: object, payload: bytes) -> None:
    messages = ValueCodec(kind)
    assert messages.encode(value) == payload
    assert messages.decode(payload) == value


@pytest.mark.parametrize(
    ("kind", "value", "field", "words"),
    [
        (Letter, Letter(5), "to", "letters: 'to': expected `str`, got `int`"),  # type: ignore[arg-type]
        (Letter, {"pages": 1}, "to", "letters: 'to': it is required and missing"),
        (Letter, {"to": "ann"}, None, "Letter, got dict"),
        (list[Letter], [{"to": 5}], None, "letters: '[0].to': expected `str`"),
        (int, b"ab", None, "letters: expected int, got bytes"),
        (Annotated[bytes, msgspec.Meta(max_length=2)], b"abc", None, "letters: expected `bytes` of length <= 2"),
        (bytes, 5, None, "letters: expected bytes, got int"),
        (Any, dt.date(2026, 1, 2), None, "got date; annotate it with its type"),
    ],
    ids=count(),
)
def test_a_message_that_does_not_fit_is_refused_with_the_field_named(
    kind: Any, value: object, field: str | None, words: str
) -> None:
    with pytest.raises(InvalidArguments) as caught:
        ValueCodec(kind, name="letters").encode(value)
    assert words in str(caught.value)
    assert caught.value.field == field


def test_messages_have_a_limit_and_a_type_that_is_checked_at_once() -> None:
    messages = ValueCodec(payload_limit=4, name="letters")
    assert messages.decode(messages.encode(b"abc")) == b"abc"
    with pytest.raises(PayloadTooLarge, match="letters: 5 bytes encoded, the limit is 4"):
        messages.encode(b"abcd")
    with pytest.raises(UndecodablePayload, match="letters: 5 bytes, the limit is 4"):
        messages.decode(b"\x00abcd")
    with pytest.raises(UndecodablePayload, match="malformed"):
        ValueCodec(int).decode(b"\x00ab")
    with pytest.raises(ConfigurationError, match="letters: complex has no JSON form"):
        ValueCodec(complex, name="letters")


def test_a_codec_of_ones_own_gets_the_arguments_by_name_without_those_left_out() -> None:
    own = ArgumentCodec(charge, codec=Reversed(), name="shop.charge")
    assert own.content_type == "application/x-reversed"
    payload = own.encode(("c", 6, 7, 8), {"x": 9})
    assert json.loads(payload[::-1]) == {"card": "c", "amount": 6, "rest": [7, 8], "more": {"x": 9}}
    assert own.decode(payload) == (("c", 6, 7, 8), {"note": "", "x": 9})
    assert own.decode(own.encode((), {"card": "c"})) == (("c", 5), {"note": ""})
    assert own.decode_result(own.encode_result([1])) == [1]
    assert ValueCodec(codec=Reversed()).decode(ValueCodec(codec=Reversed()).encode({"a": 1})) == {"a": 1}
    with pytest.raises(InvalidArguments, match="shop.charge: argument 'card' is missing") as caught:  # noqa: RUF043
        own.encode((), {})
    assert caught.value.field == "card"
    with pytest.raises(PayloadTooLarge):
        ArgumentCodec(charge, codec=Reversed(), payload_limit=5).encode(("c",), {})


@pytest.mark.parametrize("value", [[1], {}, {"card": "c", "x": 1}, {"card": "c", "more": 5}, {"card": "c", "rest": 5}])
def test_what_a_codec_decodes_must_form_a_call(value: object) -> None:
    with pytest.raises(UndecodablePayload, match=r"^shop\.charge: the stored arguments do not fit: \w"):
        ArgumentCodec(charge, codec=Reversed(), name="shop.charge").decode(Reversed().encode(value))


def test_a_codec_that_raises_is_named_and_its_words_are_not_repeated() -> None:
    own = ArgumentCodec(charge, codec=Broken())
    messages = ValueCodec(codec=Broken())
    with pytest.raises(InvalidArguments, match=r"the codec Broken raised RuntimeError at encoding$"):
        own.encode(("c",), {})
    with pytest.raises(InvalidArguments, match=r"the codec Broken raised RuntimeError at encoding$"):
        messages.encode("c")
    with pytest.raises(UnencodableResult, match=r"the codec Broken raised RuntimeError at encoding$"):
        own.encode_result("c")
    for decode in (own.decode, own.decode_result, messages.decode):
        with pytest.raises(UndecodablePayload, match=r"the codec Broken raised RuntimeError at decoding$"):
            decode(b"x")
    texting = SimpleNamespace(content_type="text/plain", encode=str, decode=str)
    with pytest.raises(InvalidArguments, match="encodes to str instead of bytes"):
        ValueCodec(codec=texting).encode(1)


class Pickling:
    content_type = "application/octet-stream"

    def encode(self, value: Any) -> bytes:
        return pickle.dumps(value)

    def decode(self, data: bytes) -> Any:
        return pickle.loads(data)  # noqa: S301 - to prove that it is refused


class Smuggling(Reversed):
    def decode(self, data: bytes) -> Any:
        import pickle as harmless  # noqa: TID251 - to prove that it is refused

        return harmless.loads(data)  # noqa: S301 - as above


@pytest.mark.parametrize(
    "codec",
    [
        pickle,
        marshal,
        shelve,
        ModuleType("dill"),
        ModuleType("cloudpickle.fast"),
        Pickling(),
        Pickling,
        Smuggling(),
        SimpleNamespace(content_type="x/y", encode=pickle.dumps, decode=pickle.loads),
        SimpleNamespace(content_type="x/y", encode=marshal.dumps, decode=marshal.loads),
    ],
    ids=count(),
)
def test_s1_a_codec_that_runs_code_from_data_is_refused(codec: Any) -> None:
    for declare in (
        lambda: check_codec(codec),
        lambda: ArgumentCodec(charge, codec=codec),
        lambda: ValueCodec(codec=codec),
    ):
        with pytest.raises(ConfigurationError, match="could run code in the workers"):
            declare()


@pytest.mark.parametrize(
    ("codec", "words"),
    [
        (json, "the codec json does not fit: a codec is an object with content_type, encode"),
        (Reversed, "the codec Reversed does not fit"),
        (None, "the codec NoneType does not fit"),
        (SimpleNamespace(content_type="a/b", encode=1, decode=2), "does not fit"),
        (SimpleNamespace(content_type="", encode=str, decode=str), "content_type must be a text"),
    ],
    ids=count(),
)
def test_what_is_no_codec_is_refused(codec: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        check_codec(codec)


SHOWN = [
    (
        b'{"card":{"$secret":"4111"},"rows":[{"key":{"$secret":{"a":1}},"n":1}]}',
        {"card": MASK, "rows": [{"key": MASK, "n": 1}]},
    ),
    (b'{"$secret":"4111","more":1}', MASK),
    (ValueCodec().encode(b"twelve bytes"), "<bytes, 12>"),
    (b'{"$bytes":"YWI="}', "<bytes, 2>"),
    (b"\x80\x04", "<bytes, 2>"),
    (b"", "<bytes, 0>"),
    (b'{"card":{"$secret":"4111', "<damaged JSON, 24 bytes>"),
    (b"[" * 300_000, "<nested too deeply to be shown, 300000 bytes>"),
    (b"null", None),
]


@pytest.mark.parametrize(("payload", "shown"), SHOWN, ids=count())
def test_s14_what_is_shown_of_a_payload_masks_every_secret(payload: bytes, shown: object) -> None:
    assert redacted(payload) == shown
    assert redacted(payload, "application/json") == shown
    assert redacted(payload, "application/x-own") == f"<application/x-own, {len(payload)} bytes>"
