"""`comanda version`."""

from __future__ import annotations

import platform

import click

from ..version import __version__
from .exits import Command
from .output import document, line


@click.command("version", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON document, with what a bug report needs.")
def version(as_json: bool) -> None:
    """Show the version."""
    if not as_json:
        line(f"comanda {__version__}")
        return
    import sqlite3

    import apsw

    document(
        {
            "comanda": __version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "sqlite3": sqlite3.sqlite_version,
            "apsw": apsw.sqlite_lib_version(),
        }
    )
