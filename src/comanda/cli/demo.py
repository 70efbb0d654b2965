"""`comanda demo`: the demonstration application, when its extra is installed."""

from __future__ import annotations

import click

from ..errors import MissingExtra
from .exits import Command


@click.command("demo", cls=Command)
@click.option("--once", is_flag=True, help="End by itself: exit 0 if all tags came, 1 if not.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="The next free one is taken."
)
@click.option("--url", metavar="URL", help="The store; by default a new file.")
@click.pass_context
def demo(ctx: click.Context, once: bool, port: int, url: str | None) -> None:
    """Start Dev-Guro, a small application that tags dev logs in the background."""
    try:
        from ..demo.run import main

        code = main(once=once, port=port, url=url)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "comanda":
            raise
        raise MissingExtra("demo", f"comanda demo ({error.name})") from None
    ctx.exit(code)
