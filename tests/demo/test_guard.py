"""Who may talk to Dev-Guro, and what a browser may do with its answers (S6, S8, S9, S10)."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import httpx
import pytest

import comanda.demo

POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
LOG = {"entry": "Django"}


def port_of(client: httpx.Client) -> int:
    assert client.base_url.port is not None
    return client.base_url.port


def first_line(client: httpx.Client, *lines: str) -> str:
    """Send a request as it stands and return the first line of the answer."""
    with socket.create_connection((client.base_url.host, port_of(client))) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        with connection.makefile("rb") as answer:
            return answer.readline().decode().strip()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"])
def test_the_names_of_the_loopback_interface_are_served(client: httpx.Client, host: str) -> None:
    assert client.get("/logs", headers={"Host": f"{host}:{port_of(client)}"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/logs", "/logs/1", "/logs/1/events", "/docs", "/openapi.json", "/static/page.js"]
)
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "", "127.0.0.1@evil.example"])
def test_a_foreign_host_is_refused_on_every_route(client: httpx.Client, path: str, host: str) -> None:
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert client.post(path, json=LOG, headers={"Host": host}).status_code == 400


def test_a_missing_or_doubled_host_is_refused(client: httpx.Client) -> None:
    assert first_line(client, "GET /logs HTTP/1.1").startswith("HTTP/1.1 400")
    assert first_line(client, "GET /logs HTTP/1.0").startswith("HTTP/1.1 400")
    own = f"Host: 127.0.0.1:{port_of(client)}"
    assert first_line(client, "GET /logs HTTP/1.1", own, "Host: evil.example").startswith("HTTP/1.1 400")


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1:{port}.evil.example",
        "http://127.0.0.1",
        "http://localhost:{port}",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:{port}/",
        "",
    ],
)
def test_pages_of_another_origin_can_neither_write_nor_listen(client: httpx.Client, origin: str) -> None:
    headers = {"Origin": origin.format(port=port_of(client))}
    for answer in (
        client.post("/logs", json=LOG, headers=headers),
        client.get("/logs", headers=headers),
        client.get("/logs/1/events", headers=headers),
        client.options("/logs", headers=headers),
    ):
        assert answer.status_code == 403
        assert answer.json() == {"detail": "requests from pages of another origin are refused"}
        assert "access-control-allow-origin" not in answer.headers


def test_the_own_page_may_write(client: httpx.Client) -> None:
    headers = {"Origin": f"http://127.0.0.1:{port_of(client)}", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/logs", json=LOG, headers=headers).status_code == 201


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_a_browser_that_hides_the_origin_cannot_write(client: httpx.Client, site: str) -> None:
    assert client.post("/logs", json=LOG, headers={"Sec-Fetch-Site": site}).status_code == 403
    assert client.get("/", headers={"Sec-Fetch-Site": site}).status_code == 200  # a link from elsewhere


def test_no_other_method_changes_anything(client: httpx.Client) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        assert client.request(method, "/logs", json=LOG).status_code == 405
    answer = client.get("/logs?limit=1", headers={"X-HTTP-Method-Override": "POST"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/logs", "/logs/999999", "/nowhere", "/static/page.js", "/swagger-ui/swagger-ui.css"]
)
def test_every_answer_carries_the_strict_policy(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-cache"


def test_refusals_carry_it_too(client: httpx.Client) -> None:
    assert client.get("/", headers={"Host": "evil.example"}).headers["content-security-policy"] == POLICY


def test_the_documentation_may_show_the_pictures_inside_its_style_sheet(client: httpx.Client) -> None:
    assert client.get("/docs").headers["content-security-policy"] == f"{POLICY}; img-src 'self' data:"


@pytest.mark.parametrize("name", sorted(path.name for path in Path(comanda.demo.__path__[0], "static").iterdir()))
def test_the_page_is_made_of_files_of_this_server_without_code_inside(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 200
    text = answer.text.replace("http://www.w3.org/2000/svg", "")  # the name of SVG, which nobody loads
    assert "://" not in text
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|javascript:", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
