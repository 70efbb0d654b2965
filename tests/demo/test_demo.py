"""`comanda demo`, as a newcomer runs it."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import psycopg
import pytest

from comanda.demo.run import main
from comanda.demo.server import listen
from comanda.errors import ConfigurationError

from .conftest import url_of
from .model_server import Model, answers, waits_for_release

COMMAND = [sys.executable, "-m", "comanda", "demo"]
IMPATIENT = "import sys; from comanda.demo import run; run.PATIENCE = 0.1; sys.exit(run.main(once=True, port=0))"


@contextmanager
def started(*command: str, directory: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command in `directory`, without settings of the developer's own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "DEV_GURO_"))}
    with subprocess.Popen(
        command,
        cwd=directory,
        env={**own, "NO_PROXY": "127.0.0.1", "DEV_GURO_TIMEOUT": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def finished(*command: str, directory: Path, **environment: str) -> tuple[int, str, str]:
    """Return the exit code of a command and what it wrote to its two outputs."""
    with started(*command, directory=directory, **environment) as process:
        output, errors = process.communicate()
        return process.returncode, output, errors


def test_once_shows_answer_times_and_all_tags_ends_with_0_and_can_be_repeated(tmp_path: Path) -> None:
    code, output, errors = finished(*COMMAND, "--once", "--port", "0", directory=tmp_path)
    assert (code, errors) == (0, "")
    assert len(re.findall(r"^POST +\d+\.\d ms  No\. \d  \w", output, re.MULTILINE)) == 3
    assert sorted(re.findall(r"^tags +\d+\.\d ms  (No\. .*)$", output, re.MULTILINE)) == [
        "No. 1  Django, Elasticsearch, ImaginaryNoneExistence Cloud",
        "No. 2  Flask, FastAPI, PostgreSQL, Redis, Kubernetes",
        "No. 3  Go, Docker, Prometheus, Grafana",
    ]
    assert output.endswith("All tags came.\n")
    assert re.search(r"^extractor  offline ", output, re.MULTILINE)
    assert re.search(r"^worker     ready after \d+\.\d s$", output, re.MULTILINE)
    assert stat.S_IMODE((tmp_path / ".comanda").stat().st_mode) == 0o700
    again, output, _ = finished(*COMMAND, "--once", "--port", "0", directory=tmp_path)
    assert again == 0
    assert "No. 4 " in output  # the same file


def test_it_serves_on_the_next_free_port_until_it_is_interrupted(tmp_path: Path) -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        with started(*COMMAND, "--port", str(port), directory=tmp_path) as process:
            assert process.stdout is not None
            opening = process.stdout.readline() + process.stdout.readline()
            assert any("Serving until Ctrl-C" in line for line in process.stdout)
            found = re.search(r"http://127\.0\.0\.1:(\d+)", opening)
            assert found is not None
            page = httpx.get(found[0], trust_env=False, timeout=60)
            process.send_signal(signal.SIGINT)
            assert process.wait() == 0
    assert f"Port {port} is taken" in opening
    assert int(found[1]) > port
    assert "<title>Dev-Guro</title>" in page.text


def test_missing_tags_are_named_and_end_with_1(tmp_path: Path, language_model: Model) -> None:
    language_model.does(answers("NONE"))
    url = url_of(language_model)
    code, output, _ = finished(*COMMAND, "--once", "--port", "0", directory=tmp_path, OPENAI_BASE_URL=url)
    assert code == 1
    assert "missing: Django, Elasticsearch, ImaginaryNoneExistence Cloud" in output
    assert output.endswith("Not all tags came.\n")
    assert "at 127.0.0.1" in output


def test_tags_that_do_not_come_in_time_end_with_1(tmp_path: Path, language_model: Model) -> None:
    language_model.does(waits_for_release)
    url = url_of(language_model)
    code, output, errors = finished(sys.executable, "-c", IMPATIENT, directory=tmp_path, OPENAI_BASE_URL=url)
    assert code == 1
    assert output.endswith("Not all tags came.\n")
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("memory://", "saves a log and its job in one transaction, which memory:// does not offer"),
        ("sqlite+apsw:///guro.db", "in one transaction, which sqlite+apsw"),
        ("mysql://ann:secret@localhost/guro", "unknown broker URL scheme 'mysql'"),
        ("sqlite:///guro.db?mode=ro", "have no option"),
    ],
)
def test_a_url_that_does_not_fit_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)) as refused:
        main(once=True, port=0, url=url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "code", "sentence"),
    [
        ("sqlite:////dev/null/guro/guro.db", 2, "the directory /dev/null/guro cannot be made: Not a directory"),
        ("sqlite:///broken.db", 3, "broken.db"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_in_one_sentence(
    tmp_path: Path, url: str, code: int, sentence: str
) -> None:
    (tmp_path / "broken.db").write_text("This is a text, and no database. " * 100)
    refused = finished(*COMMAND, "--once", "--port", "0", "--url", url, directory=tmp_path)
    assert (refused[0], refused[1]) == (code, "")
    assert sentence in refused[2]
    assert refused[2].count("\n") == 1


def test_a_url_names_another_file(tmp_path: Path) -> None:
    name = "50% off & co?.db"
    url = f"sqlite:///{quote(name)}"
    code, _, errors = finished(*COMMAND, "--once", "--port", "0", "--url", url, directory=tmp_path)
    assert (code, errors) == (0, "")
    assert (tmp_path / name).is_file()


def test_on_postgres_the_logs_and_the_queue_are_in_one_database(tmp_path: Path, postgres_url: str) -> None:
    name = f"guro_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = postgres_url.rpartition("/")[0] + f"/{name}"
    code, output, errors = finished(*COMMAND, "--once", "--port", "0", "--url", url, directory=tmp_path)
    assert code == 0
    assert [line for line in errors.splitlines() if "fsync is off" not in line] == []  # the tests' server never syncs
    assert output.endswith("All tags came.\n")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM logs").fetchall() == [(3,)]
    assert list(tmp_path.iterdir()) == []


def test_on_redis_the_logs_are_in_a_file_with_an_outbox(tmp_path: Path, redis_url: str, namespace: str) -> None:
    command = (*COMMAND, "--once", "--port", "0", "--url", redis_url)
    code, output, errors = finished(*command, directory=tmp_path, COMANDA_NAMESPACE=namespace)
    assert (code, errors) == (0, "")
    assert output.endswith("All tags came.\n")
    assert "logs in " in output
    with sqlite3.connect(tmp_path / ".comanda" / "dev-guro.db") as connection:
        assert connection.execute("SELECT count(*) FROM logs").fetchall() == [(3,)]
    connection.close()


def test_no_free_port_is_an_error_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 65_535))
        taken.listen()
        with pytest.raises(ConfigurationError, match="no port from 65535 to 65535 is free; name another one"):
            listen(65_535)
