"""Write docs/commands.md from the commands themselves: `python scripts/commands.py > docs/commands.md`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from comanda.cli.program import program

WIDTH = 100


def pages(command: click.Command, parent: click.Context | None, name: str) -> Iterator[tuple[str, str]]:
    """Yield each command's full name and help text, a group before its own commands."""
    settings = {"terminal_width": WIDTH, **command.context_settings, "max_content_width": WIDTH}
    context = click.Context(command, parent=parent, info_name=name, **settings)
    yield context.command_path, context.get_help()
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from pages(found, context, child)


def document() -> str:
    """Return the page."""
    parts = ["# Commands", "", "What `--help` says, made by `python scripts/commands.py`.", ""]
    for path, text in pages(program, None, "comanda"):
        parts += [f"## {path}", "", "```text", *(line.rstrip() for line in text.splitlines()), "```", ""]
    return "\n".join(parts)


if __name__ == "__main__":
    print(document(), end="")
