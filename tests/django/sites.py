"""The example project as processes: its commands, its server, its worker, and visitors over HTTP."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.e2e.processes import Launcher, Process
from tests.servers.process import free_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "django"

JOBS = "/admin/comanda/job/"

_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


class Site:
    """A copy of the example project in the launcher's directory, or of one that was made before."""

    def __init__(self, launcher: Launcher, environment: Mapping[str, str], source: Path = EXAMPLE) -> None:
        self._launcher = launcher
        self._environment = environment
        self.directory = launcher.directory
        left_by_users = shutil.ignore_patterns("*.pyc", *(["*.sqlite3*"] if source == EXAMPLE else []))
        shutil.copytree(source, self.directory, dirs_exist_ok=True, ignore=left_by_users)

    def start(self, *words: str, **environment: str) -> Process:
        """Start `manage.py …`."""
        return self._launcher.python("manage.py", *words, **{**self._environment, **environment})

    def manage(self, *words: str, code: int = 0, **environment: str) -> str:
        """Run `manage.py …` to its end; return what it printed."""
        process = self.start(*words, **environment)
        assert process.end() == code, process.output()
        return process.output()

    def set_up(self) -> None:
        """Make the tables, and the user ann with the password secret who may do everything."""
        self.manage("migrate", "-v0")
        names = ("--username=ann", "--email=ann@example.org")
        self.manage("createsuperuser", "--noinput", *names, DJANGO_SUPERUSER_PASSWORD="secret")

    def serve(self, **environment: str) -> Visitor:
        """Start the server; return a visitor of it who is not signed in."""
        port = free_port()
        server = self.start("runserver", "--noreload", f"127.0.0.1:{port}", **environment)
        server.line("Starting .*development server")
        return Visitor(f"http://127.0.0.1:{port}")

    def work(self) -> str:
        """Run the worker until nothing is ready; return its output."""
        return self.manage("comanda", "worker", "--burst")


class Visitor:
    """Somebody with a browser: cookies, forms with their tokens, redirects."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = httpx.Client(base_url=address, trust_env=False, follow_redirects=True, timeout=20)

    def sign_in(self, name: str = "ann") -> None:
        """Sign in to the admin."""
        token = token_of(self.get("/admin/login/"))
        form = {"username": name, "password": "secret", "csrfmiddlewaretoken": token, "next": "/admin/"}
        assert self.client.post("/admin/login/", data=form).url.path == "/admin/"

    def get(self, path: str, code: int = 200) -> str:
        """Return a page."""
        answer = self.client.get(path)
        assert answer.status_code == code, answer.text
        return answer.text

    def operate(self, action: str, *ids: str, code: int = 200, **more: str) -> str:
        """Tick jobs in the list and run an action on them; return the page that follows."""
        token = token_of(self.get(JOBS))
        form = {"action": action, "_selected_action": list(ids), "csrfmiddlewaretoken": token, **more}
        answer = self.client.post(JOBS, data=form)
        assert answer.status_code == code, answer.text
        return answer.text

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()


def token_of(page: str) -> str:
    """Return the CSRF token of a page's first form."""
    found = _TOKEN.search(page)
    assert found, page
    return found[1]


def rows(page: str) -> dict[str, str]:
    """Return the text of each job's row in the list, by the job's id."""
    table = page.partition('id="result_list"')[2].partition("</table>")[0]
    found = re.findall(r'<tr>.*?value="([0-9a-f-]{36})".*?</tr>', table, re.DOTALL)
    texts = [text_of(row) for row in re.findall(r"<tr>.*?</tr>", table.partition("<tbody>")[2], re.DOTALL)]
    return dict(zip(found[-len(texts) :] if texts else [], texts, strict=True))


def text_of(page: str) -> str:
    """Return a page's words."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())
