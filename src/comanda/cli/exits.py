"""Exit codes, and one sentence on standard error for every error that is comanda's."""

from __future__ import annotations

import traceback
from enum import IntEnum
from typing import IO, Any

import click

from ..errors import (
    BrokerError,
    ComandaError,
    ConfigurationError,
    DuplicateJob,
    EnqueueError,
    JobError,
    JobNotFound,
    QueueFull,
    ResultTimeout,
)
from .output import clean

DEBUG = "comanda.debug"
"""The key under which the context knows that tracebacks are wanted."""


class Exit(IntEnum):
    """What the process ends with."""

    DONE = 0
    FAILED = 1
    """A job failed, or a check did."""
    USAGE = 2
    """The command, the app or its settings are wrong."""
    UNREACHABLE = 3
    """The store cannot be reached or used."""
    NOT_FOUND = 4
    REFUSED = 5
    TIMED_OUT = 124
    """As of timeout(1)."""
    INTERRUPTED = 130
    """Ctrl-C: 128 + SIGINT, as shells count."""


_CODES: tuple[tuple[type[ComandaError], Exit], ...] = (
    (ConfigurationError, Exit.USAGE),
    (BrokerError, Exit.UNREACHABLE),
    (DuplicateJob, Exit.REFUSED),
    (QueueFull, Exit.REFUSED),
    (EnqueueError, Exit.USAGE),
    (JobNotFound, Exit.NOT_FOUND),
    (ResultTimeout, Exit.TIMED_OUT),
    (JobError, Exit.FAILED),
)


def code_of(error: ComandaError) -> Exit:
    """Return the exit code of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAILED)


class Stop(click.ClickException):
    """Ends the command with one sentence on standard error and this exit code."""

    def __init__(self, code: Exit, sentence: str) -> None:
        super().__init__(clean(sentence))
        self.code = code

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click declares a class variable
        """The code, where click looks for it."""
        return self.code

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the sentence."""
        click.echo(f"comanda: {self.message}", file=file, err=True)


class Command(click.Command):
    """A command whose errors become sentences and exit codes; with --debug the traceback stands before the sentence."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_debug())

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ComandaError as error:
            if ctx.meta.get(DEBUG):
                click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
            raise Stop(code_of(error), str(error)) from None
        except KeyboardInterrupt:
            raise Stop(Exit.INTERRUPTED, "interrupted") from None


class Group(Command, click.Group):
    """A group of such commands; what is wrong with a command's words is found here, before it begins."""

    command_class = Command
    group_class = type


def _debug() -> click.Option:
    def note(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta[DEBUG] = True  # shared by all contexts of one invocation

    return click.Option(
        ["--debug"], is_flag=True, expose_value=False, callback=note, help="Show the traceback of an error."
    )
