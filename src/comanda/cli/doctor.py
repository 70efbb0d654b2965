"""`comanda doctor`: finds why nothing runs, and says what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..app import Comanda
from ..errors import ComandaError
from .checks.finding import Finding, Level, problem
from .exits import Command, Exit, code_of
from .output import document, line, table
from .targets import closing, named_app, refuse_missing, sqlite_broker, store_options


@click.command("doctor", cls=Command)
@click.argument("app_argument", metavar="[APP]", required=False)
@click.option("--worker", "only_worker", is_flag=True, help="Only whether a worker of this host is alive: for probes.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@store_options
@click.pass_context
def doctor(
    ctx: click.Context,
    app_argument: str | None,
    only_worker: bool,
    as_json: bool,
    app_path: str | None,
    url: str | None,
) -> None:
    """Check the store, the workers and what waits; exit 1 if something is wrong. Hints do not count.

    With an app its tasks are checked too.
    """
    path, app = named_app(app_argument or app_path, url)
    with closing(app):
        findings, code = _examine(_own_worker(app) if only_worker else _checks(app, path))
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    hints = sum(finding.level is Level.HINT for finding in findings)
    if as_json:
        document({"checks": findings, "problems": problems, "hints": hints})
    else:
        _print(findings)
        line(f"{_count(problems, 'problem')}, {_count(hints, 'hint')}")
    ctx.exit(code)


def _examine(checks: Iterator[Finding]) -> tuple[list[Finding], Exit]:
    """Run checks; a store that cannot be opened ends them with its error's exit code."""
    findings: list[Finding] = []
    try:
        findings.extend(checks)  # as far as they come
    except ComandaError as error:
        findings.append(problem("store", str(error), "see the checks above, and the URL"))
        return findings, code_of(error)
    wrong = any(finding.level is Level.PROBLEM for finding in findings)
    return findings, Exit.FAILED if wrong else Exit.DONE


def _checks(app: Comanda, path: str | None) -> Iterator[Finding]:
    from .checks import database, outbox, store, work

    file = sqlite_broker(app)
    if file is not None:
        yield from database.place(file.path)
        refuse_missing(app)
    yield store.round_trip(app.broker)
    if file is not None:
        yield from database.contents(file)
    else:
        yield from store.server(app.broker)
    yield from outbox.outbox(app, path)
    yield from work.work(app, path)
    if path is not None:
        yield from work.tasks(app)


def _own_worker(app: Comanda) -> Iterator[Finding]:
    from .checks import store, work

    refuse_missing(app)
    yield store.round_trip(app.broker)
    yield work.own_worker(app)


def _print(findings: list[Finding]) -> None:
    rows = []
    for finding in findings:
        rows.append((finding.level.value, finding.check, finding.message))
        if finding.fix:
            rows.append(("", "", f"fix: {finding.fix}"))
    table(("", "CHECK", ""), rows, wrap=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
