"""Extraction by a language model, against a real HTTP server on this host that behaves well, badly or not at all."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from comanda.demo.extract import ExtractionFailed, extract
from comanda.demo.extract.llm import DEFAULT_MODEL, SYSTEM_PROMPT, configured
from comanda.errors import ConfigurationError, MissingExtra, RetryLater
from tests.demo.model_server import (
    Behaviour,
    Model,
    answers,
    breaks_off,
    completion,
    hangs_in_the_middle,
    replies,
    waits_for_release,
)

KEY = "sk-test-0123456789abcdef"
ENTRY = (
    "Heute habe ich eine Anwendung mit Django geschrieben. Diese Anwendung schreibt Informationen nach Elasticsearch "
    "und ist auf ImaginaryNoneExistence Cloud deployed."
)
TAGS = ["Django", "Elasticsearch", "ImaginaryNoneExistence Cloud"]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    server = Model()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for name in ("DEV_GURO_MODEL", "DEV_GURO_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_good_answer_gives_its_lines(model: Model) -> None:
    model.does(answers("\n".join(TAGS)))
    assert extract(ENTRY) == TAGS


def test_the_request_carries_the_prompt_the_entry_and_the_model(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    model.does(answers("NONE"))
    extract(ENTRY)
    monkeypatch.setenv("DEV_GURO_MODEL", "local-model")
    extract(ENTRY)
    (path, headers, first), (*_, second) = model.requests
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert first["messages"] == [
        {"role": "system", "content": SYSTEM_PROMPT},
        {"role": "user", "content": ENTRY},
    ]
    assert (first["model"], second["model"]) == (DEFAULT_MODEL, "local-model")


def test_a_base_url_alone_is_enough(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    model.does(answers("Django"))
    assert extract(ENTRY) == ["Django"]


def test_without_key_and_url_no_client_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_BASE_URL", " ")
    assert configured() is None
    assert extract(ENTRY) == TAGS


def test_a_slow_answer_is_waited_for(model: Model) -> None:
    model.does(waits_for_release)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(extract, ENTRY)
        assert model.arrived.wait(30)
        assert not future.done()
        model.release.set()
        assert future.result(30) == ["Django"]


def test_a_model_that_fails_twice_answers_the_third_call_and_the_client_retries_nothing(model: Model) -> None:
    model.does(replies("busy", 500), replies("busy", 503), answers("\n".join(TAGS)))
    for calls, status in ((1, 500), (2, 503)):
        with pytest.raises(ExtractionFailed, match=f"answered {status}"):
            extract(ENTRY)
        assert len(model.requests) == calls
    assert extract(ENTRY) == TAGS


@pytest.mark.parametrize("behaviour", [waits_for_release, hangs_in_the_middle])
def test_a_model_that_hangs_is_given_up_after_the_time_out(
    model: Model, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour
) -> None:
    monkeypatch.setenv("DEV_GURO_TIMEOUT", "0.2")
    model.does(behaviour)
    with pytest.raises(ExtractionFailed, match=r"127\.0\.0\.1 did not answer within 0\.2 s"):
        extract(ENTRY)
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("", "is empty"),
        (" \n\n```\n```", "is empty"),
        (None, "is empty"),
        ("I would say that the developer mostly used a few well known tools.", "prose"),
        ("Heute habe ich eine Anwendung mit Django geschrieben.", "prose"),
        ('["Django", "Elasticsearch"]', "JSON"),
        ('```json\n{"technologies": ["Django"]}\n```', "JSON"),
        ("<html><body>Django</body></html>", "markup"),
        ("Django\n" * 201, "more than 200 lines"),
    ],
)
def test_an_answer_that_is_no_list_fails(model: Model, answer: str | None, sentence: str) -> None:
    model.does(answers(answer))
    with pytest.raises(ExtractionFailed, match=sentence):
        extract(ENTRY)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("", "no chat completion"),
        ("<html>502</html>", "no chat completion"),
        ("[" * 100_000, "no chat completion"),
        (b"\xff\xfe\x00", "no chat completion"),
        ('{"choices": [{"message": {"content": 7}}]}', "no chat completion"),
        ('{"choices": []}', "no choices"),
        ("{}", "no choices"),
        ('{"error": {"message": "overloaded"}}', "no choices"),
        (" " * 300_000 + completion("Django"), "longer than 262,144 bytes"),
    ],
)
def test_a_body_that_is_no_completion_fails(model: Model, body: str | bytes, sentence: str) -> None:
    model.does(replies(body))
    with pytest.raises(ExtractionFailed, match=sentence):
        extract(ENTRY)


def test_a_connection_that_breaks_or_is_refused_fails(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    model.does(breaks_off)
    with pytest.raises(ExtractionFailed, match="broke off its answer"):
        extract(ENTRY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")  # port 1 is nobody's
    with pytest.raises(ExtractionFailed, match="cannot be reached"):
        extract(ENTRY)


@pytest.mark.parametrize(
    ("answer", "tags"),
    [
        ("NONE", []),
        ("- none.", []),
        ("* Django\n2. Elasticsearch\n`ImaginaryNoneExistence Cloud`", TAGS),
        ("Here is the list you asked for:\n\nDjango\n**Elasticsearch**", ["Django", "Elasticsearch"]),
        ("django\nDjango\nDJANGO", ["Django"]),
        ("imaginarynoneexistence  cloud", ["ImaginaryNoneExistence Cloud"]),
        ("Elastic Search", ["Elasticsearch"]),
        ("Kubernetes\nDjango", ["Django"]),
        ("Kubernetes", []),
        ("Djan\nango\nDjango", ["Django"]),
        ("Dja\x00ngo\nDjango\x1b[31m\nElastic\u200bsearch\nDjango", ["Django"]),
        (f"{'Django' * 21}\nDjango", ["Django"]),
    ],
)
def test_lines_are_checked_against_the_entry(model: Model, answer: str, tags: list[str]) -> None:
    model.does(answers(answer))
    assert extract(ENTRY) == tags


def test_an_alias_of_what_the_entry_names_counts(model: Model) -> None:
    model.does(answers("PostgreSQL\nKubernetes\npostgres\nMySQL"))
    assert extract("Postgres runs on k8s") == ["PostgreSQL", "Kubernetes"]


def test_an_overlong_line_that_stands_in_the_entry_is_dropped(model: Model) -> None:
    name = "Very" * 31
    model.does(answers(f"{name}\nDjango"))
    assert extract(f"{name} with Django") == ["Django"]


def test_no_more_than_twenty_tags_come_back(model: Model) -> None:
    names = [f"Tool{number}" for number in range(30)]
    model.does(answers("\n".join(names)))
    assert extract(", ".join(names)) == names[:20]


def test_an_entry_that_no_encoding_can_hold_is_still_sent(model: Model) -> None:
    model.does(answers("Django"))
    assert extract("Django \ud800") == ["Django"]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("0", 0.0), ("999999", 3600.0), ("Thu, 01 Jan 2026 00:00:00 -0000", 0.0)],
)
def test_429_with_retry_after_asks_the_queue_to_come_back_then(model: Model, header: str, seconds: float) -> None:
    model.does(replies("{}", 429, Retry_After=header))
    with pytest.raises(RetryLater) as raised:
        extract(ENTRY)
    assert raised.value.after == timedelta(seconds=seconds)


def test_429_with_a_date_waits_until_that_date(model: Model) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=10)
    model.does(replies("{}", 429, Retry_After=format_datetime(moment, usegmt=True)))
    with pytest.raises(RetryLater) as raised:
        extract(ENTRY)
    assert timedelta(minutes=8) < raised.value.after <= timedelta(minutes=10)


@pytest.mark.parametrize("headers", [{}, {"Retry_After": "soon"}, {"Retry_After": "-1"}])
def test_429_that_does_not_say_when_is_a_failure(model: Model, headers: dict[str, str]) -> None:
    model.does(replies("{}", 429, **headers))
    with pytest.raises(ExtractionFailed, match="answered 429"):
        extract(ENTRY)


def test_the_key_appears_in_no_error_and_no_log(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}})
    model.does(replies(body, 401), replies(body, 429), replies(body, 500), replies(body))
    for _ in range(4):
        with pytest.raises(ExtractionFailed) as raised:
            extract(ENTRY)
        error = raised.value
        assert KEY not in f"{error!r} {error}"
        assert error.__suppress_context__ or error.__context__ is None
    assert KEY not in caplog.text
    assert KEY not in repr(configured())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENAI_API_KEY", f"{KEY}\nInjected: yes"),
        ("OPENAI_API_KEY", f"{KEY}ä"),
        ("OPENAI_BASE_URL", "localhost:11434/v1"),
        ("OPENAI_BASE_URL", "http://"),
        ("OPENAI_BASE_URL", "http://[::1/v1"),
        ("DEV_GURO_TIMEOUT", "soon"),
        ("DEV_GURO_TIMEOUT", "0"),
        ("DEV_GURO_TIMEOUT", "inf"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    model: Model, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as raised:
        extract(ENTRY)
    assert KEY not in str(raised.value)
    assert model.requests == []


def test_without_the_client_the_error_names_the_extra(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtra, match=r"comanda\[demo\]"):
        extract(ENTRY)
    assert model.requests == []


def test_the_client_is_imported_only_when_it_is_asked() -> None:
    code = "import sys, comanda.demo.extract; sys.exit('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
