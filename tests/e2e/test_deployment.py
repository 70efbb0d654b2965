"""The examples for containers. Without an engine at hand: their files are checked by their schemas, and every command
in them is run as a plain process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from comanda.cli.times import seconds_of
from comanda.worker.supervisor import MARGIN
from tests.servers.postgres import PostgresServer
from tests.servers.process import free_port
from tests.servers.redis import RedisServer

from .processes import Process

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
KUBERNETES = sorted((ROOT / "examples" / "kubernetes").glob("*.yaml"))
DOCKERFILE = ROOT / "examples" / "deploy" / "Dockerfile"
PROGRAMS = Path(sys.executable).parent

PORT = "8000"
"""The port in all the files; a test takes a free one."""

Start = Callable[[list[str]], Process]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def services() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text())["services"])


def container(name: str) -> dict[str, Any]:
    """The container of this name in the Kubernetes files."""
    for file in KUBERNETES:
        for document in yaml.safe_load_all(file.read_text()):
            spec = document.get("spec", {}).get("template", {}).get("spec", {})
            for found in spec.get("containers", ()):
                if found["name"] == name:
                    return {**found, "pod": spec}
    raise AssertionError(f"there is no container {name}")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A directory with the application, as in the image; jobs live in a file."""
    (tmp_path / "shop.py").write_bytes((ROOT / "examples" / "deploy" / "shop.py").read_bytes())
    return os.environ | {
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "COMANDA_URL": f"sqlite:///{tmp_path / 'shop.db'}",
        "COMANDA_APP": services()["api"]["environment"]["COMANDA_APP"],
    }


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    """Start a command of a file; killed in the end if it still runs."""
    started: list[Process] = []

    def begin(command: list[str]) -> Process:
        started.append(Process(command, tmp_path, environment))
        return started[-1]

    yield begin
    for process in started:
        process.kill()


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Run a command of a file to its end."""

    def to_the_end(command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return to_the_end


def at(port: int, command: list[str]) -> list[str]:
    return [word.replace(PORT, str(port)) for word in command]


def health(service: str) -> list[str]:
    """The command of a service's health check."""
    kind, *command = services()[service]["healthcheck"]["test"]
    assert kind == "CMD"
    return list(command)


def test_the_compose_file_follows_the_specification() -> None:
    command: list[str | Path] = [PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", KUBERNETES, ids=lambda file: file.name)
def test_the_kubernetes_files_follow_the_schema_strictly(file: Path) -> None:
    command: list[str | Path] = [PROGRAMS / "kubernetes-validate", "--strict", "--kubernetes-version", "1.32", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_that_compose_names_exists_in_it() -> None:
    document = yaml.safe_load(COMPOSE.read_text())
    for service in document["services"].values():
        assert set(service.get("depends_on", ())) <= document["services"].keys()
        named = {volume.partition(":")[0] for volume in service.get("volumes", ())}
        assert named <= document["volumes"].keys()
    for name in ("api", "worker", "postgres", "redis"):
        assert "healthcheck" in document["services"][name]


def test_the_image_is_made_of_files_that_its_build_sees() -> None:
    """`.dockerignore` lets nothing else through: no database, no environment, no secret of a checkout."""
    ignored, *let_through = (ROOT / ".dockerignore").read_text().split()
    assert ignored == "*"
    sources = [
        source
        for line in re.findall(r"^COPY (.+)$", DOCKERFILE.read_text(), re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{Path(source).parts[0]}" in let_through
    assert f"\nUSER {container('api')['pod']['securityContext']['runAsUser']}\n" in DOCKERFILE.read_text()


@pytest.mark.parametrize("command", [services()["migrate"]["command"], container("migrate")["command"]])
def test_the_migration_may_run_again(run: Run, command: list[str]) -> None:
    first, second = run(command), run(command)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert first.stdout.startswith("applied step")
    assert second.stdout.startswith("nothing to do")


@pytest.mark.parametrize("command", [services()["api"]["command"], container("api")["command"]])
def test_the_api_serves_and_says_whether_it_does(
    start: Start, run: Run, environment: dict[str, str], command: list[str]
) -> None:
    """Its probes: alive whatever becomes of the store, ready while jobs can be enqueued."""
    port = free_port()
    unhealthy = run(at(port, health("api")))
    assert unhealthy.returncode != 0
    api = start(at(port, command))
    api.line("Uvicorn running on")
    paths = {name: container("api")[name]["httpGet"]["path"] for name in ("livenessProbe", "readinessProbe")}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        assert [client.get(path).status_code for path in paths.values()] == [200, 200]
        assert run(at(port, health("api"))).returncode == 0
        job = client.post("/reports", params={"month": "may"})
        assert job.status_code == 202
        assert client.get(f"/reports/{job.json()['id']}").json() == {"state": "ready", "report": None}
        assert client.get("/reports/00000000-0000-0000-0000-000000000000").status_code == 404
    api.stop()  # uvicorn ends by the signal that told it to
    assert "Application shutdown complete" in api.output()


def test_the_api_is_alive_but_not_ready_without_its_store(
    start: Start, run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    environment["COMANDA_URL"] = f"sqlite:///{tmp_path / 'gone' / 'shop.db'}"
    port = free_port()
    api = start(at(port, services()["api"]["command"]))
    api.line("Uvicorn running on")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        assert client.get(container("api")["livenessProbe"]["httpGet"]["path"]).status_code == 200
        assert client.get(container("api")["readinessProbe"]["httpGet"]["path"]).status_code == 503
    assert run(at(port, health("api"))).returncode != 0


@pytest.mark.timeout(300)  # 15 commands, one after the other
@pytest.mark.parametrize(
    ("command", "grace"),
    [
        (services()["worker"]["command"], services()["worker"]["stop_grace_period"]),
        (container("worker")["command"], f"{container('worker')['pod']['terminationGracePeriodSeconds']}s"),
    ],
)
def test_the_worker_works_is_probed_and_stops_in_order(start: Start, run: Run, command: list[str], grace: str) -> None:
    """A shell in the api's container can enqueue and wait; nobody kills the worker before its grace time is over."""
    pod = container("worker")
    alive = pod["livenessProbe"]["exec"]["command"]
    working = [health("worker"), *(pod[name]["exec"]["command"] for name in ("startupProbe", "readinessProbe"))]
    probes = [alive, *map(list, {tuple(probe) for probe in working})]
    assert run(alive).returncode == 0  # there is no store yet, which is not the worker's fault
    assert run(["comanda", "db", "migrate"]).returncode == 0
    assert {run(probe).returncode for probe in probes} == {1}
    worker = start(command)
    worker.line("is at work")
    assert {run(probe).returncode for probe in probes} == {0}
    report = run(["comanda", "run", "make_report", "month=may", "--wait", "--timeout", "20"])
    assert report.returncode == 0, report.stderr
    assert "report of may" in report.stdout
    assert seconds_of(grace) > seconds_of(command[command.index("--grace") + 1]) + MARGIN
    assert worker.stop() == 0
    assert {run(probe).returncode for probe in probes} == {1}


def test_the_health_check_of_postgres_asks_the_server() -> None:
    """With the program of the server that the tests run."""
    program, *arguments = health("postgres")
    server = PostgresServer()
    with closing(server):
        command: list[str | Path] = [
            server._bin / program,
            *arguments,
            "--host",
            "127.0.0.1",
            "--port",
            str(server.port),
        ]
        assert subprocess.run(command, capture_output=True, check=False).returncode != 0
        server.start()
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_redis_starts_with_what_its_service_says_and_keeps_what_it_acknowledged() -> None:
    program, *options = services()["redis"]["command"]
    assert program == "redis-server"
    settings = {name.removeprefix("--"): value for name, value in zip(options[::2], options[1::2], strict=True)}
    server = RedisServer(settings)
    with closing(server):
        server.start()
        with server.client() as client:
            assert client.config_get("appendfsync") == {"appendfsync": "always"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
