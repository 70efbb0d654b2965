"""What `import comanda` costs and touches: the core, and nothing that is not used."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

_NOT_WANTED = (
    *("django", "fastapi", "flask", "starlette", "uvicorn", "sqlalchemy", "aiosqlite", "apsw", "_sqlite3"),
    *("click", "rich", "openai", "pydantic", "httpx", "pickle", "psycopg", "redis"),
)

_LOOK = """
import json, sys, threading
events = []
def note(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.system", "os.posix_spawn", "os.fork", "sqlite3.", "os.mkdir")):
        events.append(event)
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wa+x"):
        events.append(f"open {arguments[0]} {arguments[1]}")
sys.dont_write_bytecode = True
sys.addaudithook(note)
import comanda
print(json.dumps({"modules": sorted(sys.modules), "events": events, "threads": threading.active_count()}))
"""


def _bare() -> dict[str, str]:
    """The environment without coverage's: measuring imports a driver by itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


def look() -> dict[str, list[str] | int]:
    command = [sys.executable, "-W", "error", "-c", _LOOK]
    done = subprocess.run(command, env=_bare(), capture_output=True, text=True, check=True)
    found: dict[str, list[str] | int] = json.loads(done.stdout)
    return found


def test_importing_comanda_loads_no_framework_and_no_driver() -> None:
    modules = look()["modules"]
    assert isinstance(modules, list)
    assert [name for name in _NOT_WANTED if name in modules] == []


def test_importing_comanda_opens_nothing_and_starts_nothing() -> None:
    """No socket, process, thread or written file (security guide, section 5)."""
    found = look()
    assert found["events"] == []
    assert found["threads"] == 1


def test_the_core_depends_on_these_five() -> None:
    """A further dependency of the core is a decision (S21)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=!~\[; ]", requirement)[0] for requirement in project["dependencies"]}
    assert names == {"msgspec", "apsw", "cronsim", "click", "rich"}


def test_the_core_imports_no_integration() -> None:
    """Integrations import the core, never the reverse (design section 5)."""
    core = [path for path in (ROOT / "src/comanda").glob("*.py") if path.name not in ("sqlalchemy.py", "__main__.py")]
    core += (ROOT / "src/comanda/brokers").rglob("*.py")
    core += (ROOT / "src/comanda/worker").rglob("*.py")
    wanted = re.compile(r"^\s*(from|import) (\.+|comanda\.)?(sqlalchemy|django|demo|cli|testing)\b", re.MULTILINE)
    assert [str(path.relative_to(ROOT)) for path in core if wanted.search(path.read_text())] == []


def test_nothing_in_the_package_imports_pickle() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*.py")
        if re.search(r"^\s*(from|import) (c?pickle|marshal|shelve|dill|cloudpickle)\b", path.read_text(), re.MULTILINE)
    ]
    assert found == []


def fresh(program: str, directory: Path) -> str:
    """Return what a fresh interpreter prints, working in `directory`."""
    import comanda

    start = f"import sys; sys.path[:0] = [{str(directory)!r}, {str(Path(comanda.__file__).parent.parent)!r}]\n"
    command = [sys.executable, "-W", "error", "-c", start + textwrap.dedent(program)]
    done = subprocess.run(command, cwd=directory, env=_bare(), capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


def test_making_an_app_opens_nothing(tmp_path: Path) -> None:
    program = """
        from comanda import Comanda
        app = Comanda("sqlite:///queue.db")
        task = app.task(name="one")(lambda: 1)
        print(task(), app, "sqlite3" in sys.modules)
    """
    assert fresh(program, tmp_path) == "1 <Comanda comanda 1 tasks> False\n"
    assert list(tmp_path.iterdir()) == []


def test_the_test_kit_brings_no_test_framework(tmp_path: Path) -> None:
    assert fresh("import comanda.testing; print('pytest' in sys.modules)", tmp_path) == "False\n"


def test_an_app_in_memory_needs_no_sqlite(tmp_path: Path) -> None:
    program = """
        from comanda import Comanda
        from comanda.testing import run_jobs
        app = Comanda("memory://")
        job = app.task(name="one")(lambda: 1).enqueue()
        run_jobs(app)
        print(job.result(), *(name for name in ("_sqlite3", "apsw", "comanda.brokers.sqlite") if name in sys.modules))
        app.close()
    """
    assert fresh(program, tmp_path) == "1\n"


def test_the_interpreter_s_library_brings_no_second_one_into_this_process(tmp_path: Path) -> None:
    """Two SQLite libraries on one file in one process lose committed rows (R43)."""
    program = """
        from comanda import Comanda
        app = Comanda("sqlite:///queue.db")
        app.task(name="one")(lambda: 1).enqueue()
        app.message_queue("letters").put(5)
        print(app.message_queue("letters").get(), "apsw" in sys.modules)
        app.close()
    """
    assert fresh(program, tmp_path) == "5 False\n"


@pytest.mark.parametrize(
    ("url", "drivers"),
    [
        ("sqlite:///queue.db", ["_sqlite3"]),
        ("sqlite+apsw:///queue.db", ["_sqlite3", "apsw"]),
        ("postgresql://ann@db/shop", ["psycopg"]),
        ("redis://cache/0", ["redis", "hiredis"]),
    ],
)
def test_a_url_brings_its_own_driver_and_no_other(tmp_path: Path, url: str, drivers: list[str]) -> None:
    """And nothing before the store is wanted; a server that does not exist is not asked for."""
    program = f"""
        from comanda import Comanda
        drivers = ("_sqlite3", "apsw", "psycopg", "redis", "hiredis")
        app = Comanda({url!r})
        before = [name for name in drivers if name in sys.modules]
        app.broker
        print(before, *(name for name in drivers if name in sys.modules))
    """
    assert fresh(program, tmp_path).split() == ["[]", *drivers]


@pytest.mark.parametrize("package", ["sqlalchemy", "django"])
def test_an_integration_whose_package_is_missing_answers_with_the_command_that_brings_it(
    tmp_path: Path, package: str
) -> None:
    (tmp_path / f"{package}.py").write_text("raise ImportError('hidden by the test')\n")
    program = f"""
        import comanda
        try:
            import comanda.{package}
        except comanda.MissingExtra as error:
            print(error)
    """
    assert fresh(program, tmp_path).endswith(f"pip install 'comanda[{package}]'\n")
