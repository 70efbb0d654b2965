"""Settings: four sources, one record, sentences for what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from comanda import Comanda, ConfigurationError, UnknownOption
from comanda.settings import Settings, load


def test_keywords_beat_the_environment_that_beats_the_file_that_beats_the_default(tmp_path: Path) -> None:
    (tmp_path / "comanda.toml").write_text("processes = 2\nconcurrency = 2\ngrace = 2\n")
    environment = {"COMANDA_PROCESSES": "3", "COMANDA_CONCURRENCY": "3", "PATH": "/bin"}
    settings = load({"processes": 4, "concurrency": None}, environment, tmp_path)
    assert (settings.processes, settings.concurrency, settings.grace, settings.lease) == (4, 3, 2.0, 10.0)


def test_the_project_s_own_file_holds_settings_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n[tool.comanda]\nurl = "sqlite:///shop.db"\n')
    assert load({}, {}, tmp_path).url == "sqlite:///shop.db"
    (tmp_path / "comanda.toml").write_text('url = "sqlite:///own.db"\n')
    assert load({}, {}, tmp_path).url == "sqlite:///own.db"


def test_without_any_source_the_defaults_hold(tmp_path: Path) -> None:
    assert load({}, {}, tmp_path) == Settings()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    assert load({}, {}, tmp_path) == Settings()


def test_a_url_and_a_log_level_in_the_environment_suffice(tmp_path: Path) -> None:
    """S2-16."""
    settings = load({}, {"COMANDA_URL": "sqlite:///shop.db", "LOG_LEVEL": "debug"}, tmp_path)
    assert (settings.url, settings.log_level) == ("sqlite:///shop.db", "debug")
    assert load({}, {"LOG_LEVEL": "debug", "COMANDA_LOG_LEVEL": "ERROR"}, tmp_path).log_level == "ERROR"


def test_the_environment_of_an_app_is_read_when_it_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMANDA_URL", "memory://")
    assert Comanda().url == "memory://"
    assert Comanda("sqlite:///shop.db").url == "sqlite:///shop.db"


@pytest.mark.parametrize("name", ["COMANDA_APP", "COMANDA_DEV", "COMANDA_WORKER"])
def test_variables_that_are_no_settings_are_left_alone(tmp_path: Path, name: str) -> None:
    assert load({}, {name: "1"}, tmp_path) == Settings()


@pytest.mark.parametrize(
    ("keywords", "environment", "sentence"),
    [
        ({"concurency": 4}, {}, r"Comanda\(…\): there is no setting 'concurency'; did you mean 'concurrency'"),
        ({"colour": 4}, {}, r"no setting 'colour'; known are url, namespace"),
        ({}, {"COMANDA_CONCURENCY": "4"}, "the environment: there is no setting 'concurency'"),
    ],
)
def test_an_unknown_setting_names_its_source_and_the_nearest_one(
    tmp_path: Path, keywords: dict[str, Any], environment: dict[str, str], sentence: str
) -> None:
    with pytest.raises(UnknownOption, match=sentence):
        load(keywords, environment, tmp_path)


def test_an_unknown_setting_in_a_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "comanda.toml").write_text("concurency = 4\n")
    with pytest.raises(UnknownOption, match=r"comanda\.toml: there is no setting 'concurency'"):
        load({}, {}, tmp_path)


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"concurrency": "4"}, "concurrency must be int, got '4'"),
        ({"concurrency": 0}, "concurrency must be at least 1"),
        ({"processes": -1}, "processes must be at least 1"),
        ({"lease": 0}, "lease must be more than 0"),
        ({"lease": float("nan")}, "lease must be more than 0"),
        ({"deadline": 4_000}, "at most 3600"),
        ({"grace": -1}, "grace must not be negative"),
        ({"grace": float("inf")}, "grace must not be negative and at most 10,000,000,000, got inf"),
        ({"keep_failed": 1e300}, "keep_failed must not be negative and at most 10,000,000,000"),
        ({"keep_at_most": 10**30}, "keep_at_most must not be negative and at most"),
        ({"concurrency": 10**8}, "concurrency must be at least 1 and at most 10,000, got 100000000"),
        ({"processes": 10**6}, "processes must be at least 1 and at most 1,000"),
        ({"payload_limit": 2**40}, "payload_limit must be at least 1 and at most 500,000,000"),
        ({"keep_successful": float("nan")}, "keep_successful must not be negative"),
        ({"lease": 5, "heartbeat": 3}, "at least twice heartbeat"),
        ({"namespace": ""}, "must be a-z"),
        ({"namespace": "1st"}, "must be a-z"),
        ({"namespace": "shop-one"}, "must be a-z"),
        ({"namespace": "x" * 31}, "must be a-z"),
        ({"log_level": "LOUD"}, "is not DEBUG"),
        ({"url": 5}, "url must be str"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_a_sentence(
    tmp_path: Path, keywords: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        load(keywords, {}, tmp_path)


def test_a_text_in_the_environment_must_be_a_number_where_one_is_wanted(tmp_path: Path) -> None:
    assert load({}, {"COMANDA_LEASE": "12.5"}, tmp_path).lease == 12.5
    with pytest.raises(ConfigurationError, match="the environment: lease must be float, got 'long'"):
        load({}, {"COMANDA_LEASE": "long"}, tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("comanda.toml", "processes = ", r"comanda\.toml is not valid TOML"),
        ("comanda.toml", b"\xff\xfe", r"comanda\.toml is not valid TOML"),
        ("pyproject.toml", "[tool]\ncomanda = 5\n", r"\[tool\.comanda\] in .* must be a table of settings, got 5"),
        ("pyproject.toml", "tool = 5\n", "must be a table of settings, got 5"),
    ],
)
def test_a_file_that_cannot_be_understood_is_named(tmp_path: Path, name: str, text: str | bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigurationError, match=sentence):
        load({}, {}, tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "comanda.toml").write_text("processes = 2\n")

    def denied(*_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(ConfigurationError, match=r"comanda\.toml cannot be read: Permission denied"):
        load({}, {}, tmp_path)


def test_settings_cannot_be_changed_afterwards() -> None:
    settings = Comanda("memory://").settings
    with pytest.raises(AttributeError):
        settings.lease = 3  # type: ignore[misc]
