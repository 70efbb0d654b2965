"""What `import comanda` costs and touches: the core, and nothing that is not used."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

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


def look() -> dict[str, list[str] | int]:
    done = subprocess.run([sys.executable, "-W", "error", "-c", _LOOK], capture_output=True, text=True, check=True)
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
    wanted = re.compile(r"^\s*(from|import) (\.+|comanda\.)?(sqlalchemy|demo|cli|testing)\b", re.MULTILINE)
    assert [str(path.relative_to(ROOT)) for path in core if wanted.search(path.read_text())] == []


def test_nothing_in_the_package_imports_pickle() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*.py")
        if re.search(r"^\s*(from|import) (c?pickle|marshal|shelve|dill|cloudpickle)\b", path.read_text(), re.MULTILINE)
    ]
    assert found == []
