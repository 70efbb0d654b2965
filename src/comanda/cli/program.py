"""The group of all commands."""

from __future__ import annotations

import click

from ..version import __version__
from .db import db
from .demo import demo
from .dev import dev
from .doctor import doctor
from .exits import Group
from .info import info
from .jobs import jobs
from .queues import queues
from .run import run
from .version import version
from .worker import worker


@click.group("comanda", cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="comanda %(version)s")
def program() -> None:
    """The task queue that needs no server to start and never loses a job.

    \b
    Exit codes: 0 done, 1 a job or a check failed, 2 wrong use, 3 store not
    reachable, 4 not found, 5 refused, 124 timed out.
    """


for command in (worker, dev, run, jobs, queues, info, doctor, db, demo, version):
    program.add_command(command)
