"""Bad input: one clear sentence, a non-zero exit, nothing lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from comanda.brokers.sqlite import SQLiteBroker

from .conftest import Run
from .shop import Shop

READING = (
    ("jobs", "ls"),
    ("jobs", "show", "0192"),
    ("queues",),
    ("queues", "pause", "default"),
    ("info",),
    ("doctor",),
)


def refused(result: Result, code: int, *words: str) -> None:
    """Check for one sentence on standard error, no traceback, and the code."""
    assert result.exit_code == code
    assert "Traceback" not in result.output
    said = result.stderr or result.stdout
    for word in words:
        assert word in said
    if result.stderr and not result.stderr.startswith("Usage"):
        assert result.stderr.startswith("comanda: ")
        assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_missing_database_is_unreachable_and_is_not_made(run: Run, workplace: Path, command: tuple[str, ...]) -> None:
    refused(run(*command, "--url", "sqlite:///shop.db"), 3, f"there is no database {workplace / 'shop.db'}")
    assert list(workplace.iterdir()) == []


def test_a_missing_directory_is_unreachable(run: Run) -> None:
    refused(run("info", "--url", "sqlite:///nowhere/shop.db"), 3, "there is no database")


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_file_that_is_no_database_is_unreachable_and_stays_as_it_is(
    run: Run, workplace: Path, command: tuple[str, ...]
) -> None:
    file = workplace / "notes.txt"
    file.write_text("these are not rows\n" * 100)
    refused(run(*command, "--url", "sqlite:///notes.txt"), 3, str(file), "is not a SQLite database")
    assert file.read_text() == "these are not rows\n" * 100


def test_a_damaged_database_is_unreachable(run: Run, shop: Shop) -> None:
    shop.failed()
    shop.app.close()
    with shop.path.open("r+b") as file:  # the root page of the schema, behind its header
        file.seek(100)
        file.write(b"\xff" * 1_000)
    refused(run("jobs", "ls", "--url", shop.url), 3, "is damaged")


def test_a_database_of_a_newer_comanda_is_refused_and_stays_as_it_is(run: Run, shop: Shop) -> None:
    shop.failed()
    shop.app.close()
    _set_versions(shop.path, 99)
    refused(run("jobs", "ls", "--url", shop.url), 2, "schema 99", "upgrade comanda")
    _set_versions(shop.path, 1)
    assert run("jobs", "ls", "--url", shop.url).stdout.count("failed") == 1


def _set_versions(path: Path, version: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE comanda_meta SET value = ?", (version,))
    connection.close()


@pytest.fixture
def locked(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A store with a failed job whose write lock somebody else holds, and little patience."""
    shop.failed()
    shop.app.close()
    monkeypatch.setenv("COMANDA_DEADLINE", "0.01")
    holder = sqlite3.connect(shop.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    yield shop
    holder.close()


def test_a_locked_database_can_be_read(run: Run, locked: Shop) -> None:
    assert run("jobs", "ls", "--url", locked.url).stdout.count("failed") == 1


@pytest.mark.parametrize(
    "command", [("jobs", "retry", "state:failed", "--yes"), ("queues", "pause", "default")], ids=" ".join
)
def test_a_locked_database_is_not_written(run: Run, locked: Shop, command: tuple[str, ...]) -> None:
    result = run(*command, "--url", locked.url)
    assert result.exit_code == 3
    assert "stayed locked by another connection for 0.01 s; nothing was written" in result.stderr
    assert run("jobs", "ls", "--url", locked.url).stdout.count("failed") == 1


def test_a_job_for_a_locked_database_is_refused(run: Run, locked: Shop, module: str) -> None:
    result = run("run", "send_mail", "to=ann", "--app", module)
    assert result.exit_code == 3
    assert "stayed locked" in result.stderr
    assert len(run("jobs", "ls", "--url", locked.url, "--jsonl").stdout.splitlines()) == 1


def test_a_read_only_database_is_unreachable_with_what_to_do() -> None:
    with tempfile.TemporaryDirectory() as name:  # not below a directory that only its owner may enter
        shop = Shop(Path(name, "shop.db"))
        shop.failed()
        shop.app.close()
        shop.path.chmod(0o444)
        shop.path.parent.chmod(0o555)
        result = _as_a_user_whom_permissions_bind("jobs", "cancel", "task:send_mail", "--yes", "--url", shop.url)
        shop.path.parent.chmod(0o700)
        shop.path.chmod(0o600)
        assert result.returncode == 3
        assert f"the database {shop.path}" in result.stderr
        assert result.stderr.count("\n") == 1
        assert len(shop.app.find_jobs()) == 1
        shop.app.close()


_BIND = """
# All imports first: what is imported later may lie where only root can read.
import encodings.unicode_escape, gettext, os, comanda.brokers.sqlite, comanda.cli.program, rich.console, rich.table
from comanda.cli import main

if os.geteuid() == 0:
    os.setuid(65534)
main()
"""


def _as_a_user_whom_permissions_bind(*command: str) -> subprocess.CompletedProcess[str]:
    # Such a user cannot write the data of a coverage run.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")}
    return subprocess.run(
        [sys.executable, "-c", _BIND, *command], cwd="/", env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://shop", "unknown broker URL scheme 'mysql'"),
        ("shop.db", "unknown broker URL scheme"),
        ("amqp://bob:s3cret@host/x", "•••"),
        ("sqlite:///shop.db?mode=ro", "sqlite URLs have no option 'mode'"),
        ("sqlite://shop.db", "names no file"),
        ("memory://", "live inside their own process"),
    ],
)
def test_a_url_that_cannot_be_used_is_wrong_use(run: Run, url: str, sentence: str) -> None:
    result = run("info", "--url", url)
    refused(result, 2, sentence)
    assert "s3cret" not in result.stderr


@pytest.mark.parametrize("command", [*READING, ("jobs", "retry", "0192")], ids=" ".join)
def test_without_a_store_one_sentence_says_how_to_name_one(run: Run, command: tuple[str, ...]) -> None:
    refused(run(*command), 2, "no store is named: --url sqlite:///shop.db or COMANDA_URL")


@pytest.mark.parametrize("command", [("worker",), ("dev",), ("run", "send_mail")], ids=" ".join)
def test_without_an_app_one_sentence_says_how_to_name_one(run: Run, command: tuple[str, ...]) -> None:
    refused(run(*command), 2, "no app is named: write module:attribute")


def test_a_store_is_named_by_the_environment_or_a_file(run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.failed()
    monkeypatch.setenv("COMANDA_URL", shop.url)
    assert run("jobs", "ls").stdout.count("failed") == 1
    monkeypatch.delenv("COMANDA_URL")
    Path("comanda.toml").write_text(f'url = "{shop.url}"')
    assert run("jobs", "ls").stdout.count("failed") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [('ulr = "sqlite:///shop.db"', "did you mean 'url'?"), ("url = 5", "url must be str"), ("url =", "not valid TOML")],
)
def test_a_wrong_settings_file_is_wrong_use(run: Run, text: str, sentence: str) -> None:
    Path("comanda.toml").write_text(text)
    refused(run("info"), 2, sentence)


@pytest.mark.parametrize(
    ("app", "sentence"),
    [
        ("nowhere:app", "there is no module 'nowhere'"),
        ("{module}:application", "has no attribute 'application'"),
        ("{module}:send_mail", "not a Comanda app"),
        ("a b", "names no app"),
    ],
)
def test_an_app_that_cannot_be_loaded_is_wrong_use(run: Run, module: str, app: str, sentence: str) -> None:
    refused(run("info", "--app", app.format(module=module)), 2, sentence)


def test_an_error_while_an_app_is_imported_names_its_place(run: Run, module: str) -> None:
    Path(f"{module}.py").write_text("import os\n\nurl = os.environ['NO_SUCH_VARIABLE']\n")
    refused(run("info", "--app", module), 2, f"{module} cannot be imported: KeyError: 'NO_SUCH_VARIABLE' (")


def test_a_name_of_several_tasks_is_wrong_use(run: Run, module: str) -> None:
    with Path(f"{module}.py").open("a") as file:
        file.write("\n\n@app.task(name='other.send_mail')\ndef other() -> None: ...\n")
    refused(run("run", "send_mail", "--app", module), 2, "is the name of several tasks", "other.send_mail")


def test_a_job_for_a_store_inside_the_process_is_refused(run: Run, module: str) -> None:
    Path(f"{module}.py").write_text("from comanda import Comanda\n\napp = Comanda('memory://')\n")
    refused(run("run", "send_mail", "--app", module), 2, "memory:// live inside their own process")


def test_debug_shows_the_traceback_before_the_sentence(run: Run, module: str) -> None:
    Path(f"{module}.py").write_text("1 / 0\n")
    for command in (("--debug", "info", "--app", module), ("info", "--app", module, "--debug")):
        result = run(*command)
        assert result.exit_code == 2
        assert "ZeroDivisionError" in result.stderr.splitlines()[-1]
        assert result.stderr.startswith("Traceback")


def test_app_and_url_together_are_wrong_use(run: Run) -> None:
    refused(run("info", "--app", "shop:app", "--url", "sqlite:///shop.db"), 2, "give --app or --url, not both")


def test_a_url_keeps_an_app_of_the_environment_from_being_imported(
    run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.failed()
    monkeypatch.setenv("COMANDA_APP", "nowhere:app")
    assert run("jobs", "ls", "--url", shop.url).exit_code == 0
    assert run("jobs", "ls").exit_code == 2


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("state:broken", "there is no state 'broken'; states are scheduled, ready"),
        ("state:faild", "did you mean failed?"),
        ("stat:failed", "did you mean state:?"),
        ("colour:red", "is no search word; search words are state:, task:, queue:, since:, id: and ids"),
        ("since:lately", "since: takes a duration such as 1h"),
        ("since:2026-10-01T08:00", "add its time zone"),
        ("arg.to:ann", "searching by arg is not there yet"),
        ("error:timeout", "searching by error is not there yet"),
        ("task:", "names nothing to search for"),
        ("send_mail", "is no job id"),
        ("id:xyz", "is no job id"),
    ],
)
def test_a_wrong_search_word_is_wrong_use(run: Run, shop: Shop, word: str, sentence: str) -> None:
    shop.app.broker.open()
    refused(run("jobs", "ls", word, "--url", shop.url), 2, sentence)


def test_negation_is_refused_with_a_sentence(run: Run, shop: Shop) -> None:
    shop.app.broker.open()
    refused(run("jobs", "ls", "--url", shop.url, "--", "-state:failed"), 2, "leaving jobs out with - is not there yet")


def test_one_since_is_enough(run: Run, shop: Shop) -> None:
    shop.app.broker.open()
    refused(run("jobs", "ls", "since:1h", "since:2h", "--url", shop.url), 2, "since: can be given once")


@pytest.mark.parametrize("extra", [("dev", "watchfiles"), ("demo", "uvicorn")], ids=lambda extra: extra[0])
def test_a_missing_extra_answers_with_the_install_command(
    run: Run, module: str, monkeypatch: pytest.MonkeyPatch, extra: tuple[str, str]
) -> None:
    command, needed = extra
    monkeypatch.setitem(sys.modules, needed, None)
    words = (command, module) if command == "dev" else (command,)
    refused(run(*words), 2, f"pip install 'comanda[{command}]'")


def test_an_interrupted_command_ends_as_shells_expect(run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.failed()

    def interrupt(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SQLiteBroker, "find", interrupt)
    refused(run("jobs", "ls", "--url", shop.url), 130, "interrupted")
