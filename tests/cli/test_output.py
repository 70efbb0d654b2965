"""Where the command line writes, and in which colours."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from comanda.cli.output import clean

from .conftest import Run
from .shop import Shop


def _on_a_terminal(*command: str, **environment: str) -> str:
    """Return what a command writes to a terminal of 200 columns."""
    terminal, line = pty.openpty()
    settings = {"COLUMNS": "200", "TERM": "xterm-256color"}
    inherited = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    with subprocess.Popen(
        [sys.executable, "-m", "comanda", *command], stdout=line, env=inherited | settings | environment
    ) as process:
        os.close(line)
        shown = b""
        while chunk := _read(terminal):
            shown += chunk
    os.close(terminal)
    assert process.returncode == 0
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux: the other end was closed
        return b""


def test_colour_is_used_on_a_terminal(shop: Shop) -> None:
    shop.failed()
    assert "\x1b[31mfailed" in _on_a_terminal("jobs", "ls", "--url", shop.url)


def test_no_colour_is_used_where_the_user_wants_none(shop: Shop) -> None:
    shop.failed()
    assert "\x1b" not in _on_a_terminal("jobs", "ls", "--url", shop.url, NO_COLOR="1")


def test_no_colour_goes_into_a_pipe_and_nothing_is_cut_there(shop: Shop, run: Run) -> None:
    shop.failed(text="x" * 500)
    shown = run("jobs", "ls", "--url", shop.url).stdout
    assert "\x1b" not in shown
    assert "x" * 500 in shown


def test_an_id_is_whole_on_a_narrow_terminal(shop: Shop) -> None:
    job = shop.failed(text="x" * 500)
    shown = _on_a_terminal("jobs", "ls", "--url", shop.url, NO_COLOR="1", COLUMNS="60")
    assert job.id in shown
    assert "xxx" not in shown


@pytest.mark.parametrize(
    "command",
    [("jobs", "ls"), ("queues",), ("info",), ("doctor",), ("version",)],
    ids=" ".join,
)
def test_a_reading_command_prints_one_document(shop: Shop, run: Run, command: tuple[str, ...]) -> None:
    shop.failed()
    where = () if command == ("version",) else ("--url", shop.url)
    result = run(*command, *where, "--json")
    assert isinstance(json.loads(result.stdout), dict)
    assert result.stderr == ""


def test_an_encoding_without_a_character_shows_its_escape(shop: Shop) -> None:
    job = shop.failed()
    command = [sys.executable, "-m", "comanda", "jobs", "show", job.id, "--url", shop.url]
    shown = subprocess.run(command, env=os.environ | {"PYTHONIOENCODING": "latin-1"}, capture_output=True, check=True)
    assert b'token="\\u2022\\u2022\\u2022"' in shown.stdout


def test_a_result_is_shown_to_the_letter(shop: Shop, run: Run) -> None:
    job = shop.send_mail.enqueue("two  spaces\nand a line")
    assert '(to="two  spaces\\nand a line")' in run("jobs", "show", job.id, "--url", shop.url).stdout


def test_only_what_a_command_needs_is_imported() -> None:
    script = "import comanda.cli.program, sys; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    for module in ("rich", "apsw", "watchfiles", "fastapi", "uvicorn", "sqlalchemy"):
        assert module not in found
    assert [
        name for name in found if name.startswith(("comanda.worker", "comanda.demo", "comanda.brokers.sqlite"))
    ] == []


def test_unprintable_characters_are_shown_as_escapes() -> None:
    assert clean("a\x1b[31m\tb\n\u202e") == "a\\x1b[31m\tb\n\\u202e"
    assert clean("größe") == "größe"


def test_the_version_is_shown(run: Run) -> None:
    from comanda import __version__

    assert run("version").stdout == run("--version").stdout == f"comanda {__version__}\n"


def test_the_help_names_every_command(run: Run) -> None:
    shown = run("--help").stdout
    for command in ("worker", "dev", "run", "jobs", "queues", "info", "doctor", "demo", "version"):
        assert f"\n  {command} " in shown


def test_streams_that_were_closed_before_the_start_stop_no_command(shop: Shop) -> None:
    closing = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh"]
    command = [sys.executable, "-m", "comanda", "info", "--url", shop.app.url]
    shop.app.broker.open()
    subprocess.run([*closing, *command], check=True)
