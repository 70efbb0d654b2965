"""What stands before every route: browsers on other sites cannot reach a server on this machine through its user."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

LARGEST_BODY = 256 * 1024
"""Bytes. 10,000 characters take at most 120,000, each as a surrogate pair of JSON escapes."""

CONTENT_POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # a browser asks again; an unchanged file costs it 304
}

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def middleware(hosts: list[str]) -> list[Middleware]:
    """Return the layers, the outermost first. `hosts` are served beside the names of the loopback interface."""
    return [
        Middleware(SecurityHeaders),
        Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, *hosts], www_redirect=False),
        Middleware(SameOrigin),
        Middleware(RequestBodyLimitMiddleware, max_body_size=LARGEST_BODY),
    ]


class SecurityHeaders:
    """Adds the headers that tell a browser what it may do with an answer; a route's own ones stay."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class SameOrigin:
    """Refuses what a page of another origin sends (S9, S10): 403.

    The Host header has been checked before, so an Origin that names it is this server's own. Programs that are no
    browser send neither header.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or _is_own(scope):
            await self._app(scope, receive, send)
        else:
            refusal = JSONResponse({"detail": "requests from pages of another origin are refused"}, status_code=403)
            await refusal(scope, receive, send)


def _is_own(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is not None:
        return origin == f"{scope['scheme']}://{headers['host']}"
    return scope["method"] in _SAFE_METHODS or headers.get("sec-fetch-site", "none") in ("same-origin", "none")
