"""Dev-Guro for tests: in this process without a worker, and as a process of its own with one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from .model_server import Model

ROOT = Path(__file__).parents[2]

StartServer = Callable[..., httpx.Client]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The application's database in this process: its modules read the environment when they are imported."""
    path = tmp_path_factory.mktemp("dev-guro") / "data" / "dev-guro.db"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DEV_GURO_DATABASE", str(path))
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "DEV_GURO_HOSTS"):
            environment.delenv(name, raising=False)
        environment.setenv("NO_PROXY", "127.0.0.1")
        from comanda.demo.database import engine
        from comanda.demo.logs import open_store
        from comanda.demo.tasks import app

        open_store()
        yield path
        app.close()
        engine.dispose()


@pytest.fixture(scope="session")
def address(database: Path) -> Iterator[str]:
    """A real server in a thread of this process. Nothing runs its jobs but the tests themselves."""
    from comanda.demo.api import api
    from comanda.demo.server import listen

    with listen(0) as listener:
        server = uvicorn.Server(uvicorn.Config(api, lifespan="off", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    """A visitor of that server."""
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as visitor:
        yield visitor


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start Dev-Guro as a process of its own, with its worker; keywords go into its environment."""
    servers: list[subprocess.Popen[str]] = []
    clients: list[httpx.Client] = []

    def start(**environment: str) -> httpx.Client:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.demo.serve"],
            cwd=ROOT,
            env={**os.environ, "DEV_GURO_DATABASE": str(tmp_path / "data" / "dev-guro.db"), **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        servers.append(server)
        assert server.stdout is not None
        port = int(server.stdout.readline())
        clients.append(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60))
        return clients[-1]

    yield start
    for client in clients:
        client.close()
    for server in servers:
        server.terminate()
        server.communicate()


@pytest.fixture
def language_model() -> Iterator[Model]:
    """A language model at `url_of(it)`, for a test to say what it does."""
    with Model() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


def url_of(model: Model) -> str:
    """Return what OPENAI_BASE_URL has to be."""
    return f"http://127.0.0.1:{model.server_port}/v1"
