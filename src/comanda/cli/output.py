"""Data on standard output, talk on standard error; colour only on a terminal, and none under NO_COLOR."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, Literal

import click
import msgspec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_UNLIMITED = 100_000
"""Columns where no terminal sets a limit: what a pipe reads is never cut."""

STYLES = {
    "ok": "green",
    "problem": "bold red",
    "hint": "yellow",
    "successful": "green",
    "failed": "red",
    "running": "cyan",
    "expired": "yellow",
    "cancelled": "dim",
}
"""Colours of words that also say what they mean without."""


def say(sentence: str) -> None:
    """Tell the user something that is not the data asked for."""
    click.echo(clean(sentence), err=True)


def line(text: str, *, err: bool = False) -> None:
    """Print one line of data; with `err` on standard error, where the data is JSON."""
    click.echo(clean(text), err=err)


def document(data: Any) -> None:
    """Print one JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(data)).decode())


def json_lines(items: Iterable[Any]) -> None:
    """Print one compact JSON document a line."""
    for item in items:
        click.echo(msgspec.json.encode(item).decode())


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    wrap: bool = False,
    err: bool = False,
) -> None:
    """Print rows under headings; columns named in `right` are aligned to the right.

    What does not fit the terminal is cut, but for the first column, which is there to be copied; with `wrap`, nothing
    is. `err`: on standard error.
    """
    from rich.table import Table

    cells = [[_cell(value) for value in row] for row in rows]
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        justify: Literal["left", "right"] = "right" if heading in right else "left"
        shown.add_column(heading, justify=justify, no_wrap=not wrap, overflow="fold" if wrap else "ellipsis")
    shown.columns[0].min_width = max((row[0].cell_len for row in cells), default=0)
    for row in cells:
        shown.add_row(*row)
    _print(shown, err=err)


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line."""
    from rich.table import Table

    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, value in pairs:
        shown.add_row(name, _styled(clean(str(value))))
    _print(shown)


def console(stream: IO[str]) -> Console:
    """Return a rich console that writes to `stream`: coloured and as wide as the terminal, or plain and never cut."""
    from rich.console import Console

    on_terminal = stream.isatty()
    return Console(
        file=stream,
        color_system="auto" if on_terminal and not os.environ.get("NO_COLOR") else None,
        width=None if on_terminal else _UNLIMITED,
        highlight=False,
        markup=False,
        emoji=False,
    )


def clean(text: str) -> str:
    r"""Return text that cannot steer a terminal: every unprintable character as its escape, \n and tab kept."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text)


def one_line(text: str) -> str:
    """Return text for one line of a list."""
    return clean(" ".join(text.split()))


def _print(shown: Table, *, err: bool = False) -> None:
    target = console(sys.stderr if err else sys.stdout)
    with target.capture() as captured:
        target.print(shown)
    click.echo("\n".join(text.rstrip() for text in captured.get().splitlines()), err=err)  # cells are padded


def _cell(value: object) -> Text:
    return _styled(one_line(str(value)))


def _styled(text: str) -> Text:
    from rich.text import Text

    return Text(text, style=STYLES.get(text.partition(" ")[0].rstrip(","), ""))
