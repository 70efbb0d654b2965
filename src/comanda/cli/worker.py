"""`comanda worker APP`: runs jobs until it is told to stop."""

from __future__ import annotations

from typing import Any

import click

from .exits import Command
from .targets import wanted_app
from .times import seconds_of

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@click.command("worker", cls=Command)
@click.argument("app_path", metavar="[APP]", required=False)
@click.option("-q", "--queues", metavar="A,B", help="Only these queues, in rotation; all by default.")
@click.option(
    "-c", "--concurrency", type=click.IntRange(min=1), metavar="N", help="Jobs that one child runs at a time."
)
@click.option("-p", "--processes", type=click.IntRange(min=1), metavar="N", help="Children.")
@click.option("--burst", is_flag=True, help="End when nothing is ready and nothing runs.")
@click.option("--strict", is_flag=True, help="Empty the queues in the order given instead of in rotation.")
@click.option("--grace", type=seconds_of, metavar="TIME", help="Time that running jobs get at the end, such as 25.")
@click.option("--log-level", type=click.Choice(LEVELS, case_sensitive=False), help="Level of the log lines.")
@click.pass_context
def worker(ctx: click.Context, /, app_path: str | None, queues: str | None, **options: Any) -> None:
    """Run jobs of APP, module:attribute (or COMANDA_APP), until SIGTERM or Ctrl-C; a second one means now.

    What is not given here is taken from the app's settings.
    """
    from ..worker.messages import Work
    from ..worker.supervisor import Supervisor

    work = Work(app=wanted_app(app_path), queues=queue_names(queues), **options)
    ctx.exit(Supervisor(work).run())


def queue_names(text: str | None) -> tuple[str, ...] | None:
    """Return the queues named in `a,b`, None when none is."""
    if text is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise click.BadParameter("it names no queue", param_hint="--queues")
    return names
