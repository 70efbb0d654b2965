"""Secrets: nothing shows them but reveal()."""

from __future__ import annotations

import copy
import json
import logging
import pickle  # noqa: TID251 - to prove that it is refused
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comanda.codec import ArgumentCodec, UndecodablePayload, redacted
from comanda.errors import InvalidArguments
from comanda.secret import MASK, Secret, mask


@dataclass
class Login:
    user: str
    password: Secret[str]


def plain(user: str) -> None: ...


def login(credentials: Login, pins: list[Secret[int]], key: Secret[bytes] | None = None) -> None: ...


def anything(secret: Secret, path: Path | None = None) -> None: ...  # type: ignore[type-arg]


def test_no_way_of_writing_a_secret_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret("hunter2")
    written = [repr(secret), str(secret), f"{secret:>20}", f"{secret!r}", "%s" % secret, str([secret])]  # noqa: UP031
    written.append(repr(Login("ann", secret)))
    logging.getLogger("shop").warning("logging in with %s", secret)
    written += [caplog.text, "".join(traceback.format_exception(ValueError(secret)))]
    assert all(MASK in text and "hunter2" not in text for text in written)
    assert secret.reveal() == "hunter2"


def test_a_secret_is_equal_by_value_and_to_secrets_only() -> None:
    assert Secret("grün\ud800") == Secret("grün\ud800")
    assert Secret(b"a") == Secret(b"a")
    assert Secret(1) == Secret(1)
    assert Secret("a") != Secret("b")
    assert Secret("a") != Secret(b"a")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_a_secret_is_copied_but_not_pickled_or_encoded_by_accident() -> None:
    secret = Secret(["a"])
    assert copy.copy(secret) is secret
    deep = copy.deepcopy(secret)
    assert deep == secret
    assert deep.reveal() is not secret.reveal()
    assert asdict(Login("ann", Secret("x"))) == {"user": "ann", "password": Secret("x")}
    with pytest.raises(TypeError, match="a Secret is not pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    assert not hasattr(secret, "__dict__")


def test_a_secret_argument_arrives_typed_at_any_depth_and_is_masked_where_it_is_shown() -> None:
    codec = ArgumentCodec(login)
    given_args = (Login("ann", Secret("hunter2")), [Secret(1234)], Secret(b"\x00key"))
    payload = codec.encode(given_args, {})
    assert codec.decode(payload) == (given_args, {})
    assert redacted(payload) == {"credentials": {"user": "ann", "password": MASK}, "pins": [MASK], "key": MASK}
    assert codec.decode(codec.encode(given_args[:2], {}))[0][2] is None
    assert ArgumentCodec(anything).decode(b'{"secret":{"$secret":[1]}}') == ((Secret([1]), None), {})
    with pytest.raises(UndecodablePayload, match="path: expected `Path`"):
        ArgumentCodec(anything).decode(b'{"secret":{"$secret":1},"path":5}')


@pytest.mark.parametrize(
    ("credentials", "pins", "words"),
    [
        (Login("ann", "hunter2"), [], "'credentials.password': expected `Secret`"),  # type: ignore[arg-type]
        (Login("ann", Secret("x")), ["hunter2"], r"'pins\[0\]': expected `Secret`"),
        (Login("ann", Secret("x")), [Secret("hunter2")], r"'pins\[0\]': expected another type inside the `Secret`"),
        (Login("ann", Secret("x")), [{"$secret": 1}], r"'pins\[0\]': expected Secret\[int\], got dict"),
    ],
)
def test_a_plain_value_in_the_place_of_a_secret_is_refused(credentials: Login, pins: list[Any], words: str) -> None:
    with pytest.raises(InvalidArguments, match=words) as caught:
        ArgumentCodec(login).encode((credentials, pins), {})
    assert caught.value.field in {"credentials", "pins"}
    assert "hunter2" not in str(caught.value)


def test_a_secret_where_the_annotation_says_nothing_of_it_is_refused() -> None:
    with pytest.raises(InvalidArguments, match=r"expected str, got Secret\[str\]"):
        ArgumentCodec(plain).encode((Secret("hunter2"),), {})
    with pytest.raises(UndecodablePayload, match="user: expected `str`"):
        ArgumentCodec(plain).decode(b'{"user":{"$secret":"hunter2"}}')


def test_the_texts_of_secret_arguments_are_listed_for_masking() -> None:
    codec = ArgumentCodec(login)
    texts = codec.secrets((Login("ann", Secret("it's\n")), [Secret(1234)]), {"key": Secret(b"\x00key")})
    assert set(texts) == {"it's\n", "it's\\n", "1234", "\\x00key"}
    assert codec.secrets((Login("ann", Secret("")), []), {}) == [""]
    nested: Secret[Any] = Secret({"inner": Secret(Login("bob", Secret("x"))), "flags": [True, None]})
    assert set(ArgumentCodec(login).secrets((nested,), {})) == {"inner", "bob", "x", "flags"}
    assert ArgumentCodec(plain).secrets(("ann",), {}) == []


def test_an_attrs_class_is_looked_into_by_its_fields() -> None:
    class Parcel:  # what attrs makes, without needing attrs
        __attrs_attrs__ = (SimpleNamespace(name="key"),)
        key = Secret("hunter2")

    assert ArgumentCodec(login).secrets((Parcel(),), {}) == ["hunter2"]


def test_masking_replaces_every_occurrence_and_the_longest_first() -> None:
    assert mask("pass password passwords.*", ["pass", "password", ".*", ""]) == f"{MASK} {MASK} {MASK}s{MASK}"
    assert mask("nothing here", []) == "nothing here"
    assert mask("nothing here", [""]) == "nothing here"


@given(st.lists(st.text(alphabet="ab.*•", min_size=1), max_size=4), st.text(alphabet="ab.*• "))
def test_no_secret_survives_masking(secrets: list[str], text: str) -> None:
    left = mask(text, secrets).replace(MASK, "\n")
    assert not any(secret in left for secret in secrets)
