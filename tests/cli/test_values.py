"""Words on a command line become typed arguments."""

from __future__ import annotations

import enum
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from comanda import Comanda, ConfigurationError, InvalidArguments, Secret
from comanda.cli.values import arguments

app = Comanda("memory://")


class Size(enum.Enum):
    SMALL = "small"


def _takes(annotation: Any) -> Any:
    def function(value: Any) -> None: ...

    function.__annotations__ = {"value": annotation}
    function.__qualname__ = "function"
    return app.task(name=f"takes.{annotation}")(function)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (str, "ann", "ann"),
        (str, "5", "5"),
        (str, "true", "true"),
        (str, "a=b", "a=b"),
        (str, "", ""),
        (int, "5", 5),
        (float, "5", 5.0),
        (bool, "true", True),
        (str | None, "null", None),
        (int | str, "5", 5),
        (int | str, "x5", "x5"),
        (list[int], "[1, 2]", [1, 2]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (date, "2026-10-01", date(2026, 10, 1)),
        (datetime, "2026-10-01T08:00:00Z", datetime.fromisoformat("2026-10-01T08:00:00Z")),
        (Decimal, "1.50", Decimal("1.50")),
        (UUID, "01234567-0123-7123-8123-012345678901", UUID("01234567-0123-7123-8123-012345678901")),
        (Size, "small", Size.SMALL),
        (Secret[str], "s3cret", Secret("s3cret")),
        (Secret[int], "5", Secret(5)),
        (Any, "5", 5),
        (Any, "five", "five"),
        (Any, "NaN", "NaN"),
    ],
)
def test_a_value_is_json_where_the_annotation_takes_it_and_a_string_otherwise(
    annotation: Any, text: str, value: Any
) -> None:
    args, kwargs = arguments(_takes(annotation), [f"value={text}"])
    assert (args, kwargs) == ((), {"value": value})
    assert type(kwargs["value"]) is type(value)


def test_what_fits_in_no_reading_is_left_for_the_enqueue_to_refuse() -> None:
    task = _takes(int)
    _, kwargs = arguments(task, ["value=many"])
    with pytest.raises(InvalidArguments) as caught:
        task.call(**kwargs)
    assert caught.value.field == "value"


def test_without_annotations_values_are_json_or_strings() -> None:
    def plain(a, b, **rest):  # type: ignore[no-untyped-def]
        return None

    plain.__qualname__ = "plain"
    assert arguments(app.task(name="plain")(plain), ["a=1", "b=x", "c=[2]"]) == ((), {"a": 1, "b": "x", "c": [2]})


def test_positional_only_parameters_are_given_by_name_too() -> None:
    def positional(a: int, b: str, /, c: int) -> None: ...

    positional.__qualname__ = "positional"
    assert arguments(app.task(name="positional")(positional), ["b=5", "a=5", "c=5"]) == ((5, "5"), {"c": 5})


@pytest.mark.parametrize("word", ["5", "=5", "a b=5", "--x=5"])
def test_a_word_without_a_name_is_refused(word: str) -> None:
    with pytest.raises(ConfigurationError, match="arguments are written name=value"):
        arguments(_takes(int), [word])


def test_an_annotation_that_json_cannot_carry_leaves_the_value_to_the_tasks_own_codec() -> None:
    class Codec:
        content_type = "text/plain"

        def encode(self, value: Any) -> bytes:
            return repr(value).encode()

        def decode(self, data: bytes) -> Any:
            return data

    def odd(value: complex) -> None: ...

    odd.__qualname__ = "odd"
    assert arguments(app.task(name="odd", codec=Codec())(odd), ["value=5"]) == ((), {"value": 5})
