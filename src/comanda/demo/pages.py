"""The page and the API's documentation: plain files, each from this server, none with a script inside."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from .guard import CONTENT_POLICY

_STATIC = Path(__file__).parent / "static"

_DOCS_POLICY = f"{CONTENT_POLICY}; img-src 'self' data:"
"""Swagger UI's style sheet holds its icons as data URLs."""


def add_pages(api: FastAPI) -> None:
    """Serve `/`, `/docs` and their files."""
    api.mount("/static", StaticFiles(directory=_STATIC), name="static")
    api.mount("/swagger-ui", StaticFiles(packages=[("fastapi_offline", "static")]), name="swagger-ui")

    @api.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(_STATIC / "page.html")

    @api.get("/docs", include_in_schema=False)
    def docs() -> FileResponse:
        return FileResponse(_STATIC / "docs.html", headers={"Content-Security-Policy": _DOCS_POLICY})
