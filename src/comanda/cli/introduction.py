"""What `comanda dev` does and says first: `python -m comanda.cli.introduction APP`.

A process of its own imports the app for it: the one that watches for changes must never hold old code.
"""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path

import click

from ..task import Task
from .exits import Command
from .output import fields
from .targets import closing, import_app

_EXAMPLES = {str: "hello", int: "1", float: "1.5", bool: "true"}
_SHOWN = 5


@click.command("introduction", cls=Command)
@click.argument("app_path")
def introduction(app_path: str) -> None:
    """Bring the store's schema up to date; show the store, the tasks and the first thing to try."""
    with closing(import_app(app_path)) as app:
        app.broker.migrate()
        tasks = list({task.name: task for task in app.tasks.values()}.values())
        store = app.broker.describe()
        facts = [
            ("store", f"{store.get('store', app.url)}, {store.get('durability', '')}".rstrip(", ")),
            ("tasks", _listed(tasks)),
            ("worker", f"{app.settings.concurrency} slots; reload on change in {Path.cwd()}"),
        ]
        if tasks:
            facts.append(("try", _example(app_path, tasks)))
        fields(facts)


def _listed(tasks: list[Task[..., object]]) -> str:
    if not tasks:
        return "none yet: declare one with @app.task"
    names = ", ".join(task.name for task in tasks[:_SHOWN])
    return f"{len(tasks)}: {names}{', …' if len(tasks) > _SHOWN else ''}"


def _example(app_path: str, tasks: list[Task[..., object]]) -> str:
    """Return a command that runs a task, if possible one whose arguments are easily made up."""
    words = {task.name: _words(task) for task in tasks}
    name = min(words, key=lambda task: (sum(word.endswith("=…") for word in words[task]), len(words[task])))
    short = name.rpartition(".")[2]
    is_unique = sum(task.name.rpartition(".")[2] == short for task in tasks) == 1
    app = "" if os.environ.get("COMANDA_APP") == app_path else f" --app {app_path}"
    return " ".join(["comanda run", short if is_unique else name, *words[name], "--wait"]) + app


def _words(task: Task[..., object]) -> list[str]:
    """Return a made-up value for each argument that a task cannot do without."""
    required = [
        parameter
        for parameter in inspect.signature(task.function, eval_str=True).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    return [f"{parameter.name}={_EXAMPLES.get(parameter.annotation, '…')}" for parameter in required]


if __name__ == "__main__":
    introduction(sys.argv[1:], prog_name="comanda dev")
