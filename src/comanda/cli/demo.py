"""`comanda demo`: the demonstration application, when its extra is installed."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from ..errors import MissingExtra
from .exits import Command

_NEEDED = ("fastapi", "fastapi_offline", "httpx2", "sqlalchemy", "uvicorn")


@click.command("demo", cls=Command)
@click.option("--once", is_flag=True, help="End by itself: exit 0 if all tags came, 1 if not.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="The next free one is taken."
)
@click.option(
    "--url", metavar="URL", help="The store, sqlite:///FILE, postgresql://… or redis://…; by default a file in --data."
)
@click.option(
    "--data", metavar="DIR", type=click.Path(path_type=Path), help="Where the file is kept.  [default: .comanda]"
)
@click.pass_context
def demo(ctx: click.Context, once: bool, port: int, url: str | None, data: Path | None) -> None:
    """Start Dev-Guro, a small application that tags dev logs in the background."""
    try:
        for module in _NEEDED:
            importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra("demo", f"comanda demo ({error.name})") from None
    from ..demo.run import main

    ctx.exit(main(once=once, port=port, url=url, data=data))
