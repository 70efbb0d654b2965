"""The documents are true: their programs run and print what they say; every option, command and error appears."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import comanda
from comanda import tasks
from comanda.cli.program import program
from comanda.settings import Settings
from scripts.commands import document

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<reason>.+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


def blocks(page: Path) -> list[tuple[str, str, str | None]]:
    """Language, text and the reason not to run it, of each fenced block."""
    return [(found["language"], found["text"], found["reason"]) for found in _BLOCK.finditer(page.read_text())]


def programs(page: Path) -> bool:
    return any(language in ("python", "console") for language, _, _ in blocks(page))


@pytest.mark.parametrize("page", [page for page in PAGES if programs(page)], ids=lambda page: page.name)
def test_the_programs_of_a_page_run_and_print_what_it_says(page: Path, tmp_path: Path) -> None:
    """Each page is a directory of its own; a `text` block after a program is its whole output."""
    path = os.pathsep.join([str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    environment = os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": "error", "NO_COLOR": "1"}
    environment.pop("PYTEST_CURRENT_TEST", None)
    printed: str | None = None
    for language, text, reason in blocks(page):
        if language == "text" and printed is not None:
            assert printed == text
        printed = None
        if reason is None and language == "python":
            name = re.match(r"# (\S+\.py)\n", text)
            assert name, f"a program's first line names its file:\n{text}"
            (tmp_path / name[1]).write_text(text)
            printed = run([sys.executable, name[1]], tmp_path, environment)
        elif reason is None and language == "console":
            for line in text.splitlines():
                if line.startswith("$ comanda "):
                    run([sys.executable, "-m", *line.removeprefix("$ ").split()], tmp_path, environment)


def run(command: list[str], directory: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_setting_stands_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    missing = [field.name for field in msgspec.structs.fields(Settings) if f"| `{field.name}` |" not in reference]
    assert missing == []


def test_every_error_stands_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    errors = [name for name in comanda.__all__ if isinstance(getattr(comanda, name), type)]
    errors = [name for name in errors if issubclass(getattr(comanda, name), BaseException)]
    assert [name for name in errors if f"`{name}`" not in reference] == []


def test_every_option_of_a_task_and_of_using_stands_in_the_guide() -> None:
    guide = (ROOT / "docs" / "guides" / "tasks.md").read_text()
    options = {*inspect.signature(tasks._make).parameters, *inspect.signature(comanda.Task.using).parameters}
    assert [option for option in options - {"app", "function", "self"} if f"`{option}`" not in guide] == []


def test_every_command_and_its_options_stand_in_the_documents() -> None:
    """`python scripts/commands.py > docs/commands.md` brings the page up to date."""
    assert (ROOT / "docs" / "commands.md").read_text() == document()


def test_every_command_stands_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text()
    assert [name for name in program.commands if f"comanda {name}" not in reference] == []


def test_links_between_the_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_no_page_names_a_test_that_does_not_exist() -> None:
    tests = {
        name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    } | {
        name
        for file in (ROOT / "src/comanda/testing").rglob("*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    named = {(page.name, name) for page in PAGES for name in re.findall(r"`(test_\w+)`", page.read_text())}
    assert sorted(f"{page}: {name}" for page, name in named if name not in tests) == []
