"""`comanda db`: the store itself, its schema, copies of it, and the way to another one."""

from __future__ import annotations

from pathlib import Path

import click

from ..app import Comanda
from ..brokers.base import Capability
from ..brokers.factory import hide_password
from ..errors import BrokerTimeout
from .exits import Exit, Group, Stop
from .info import heard_workers
from .output import document, fields, line, say
from .targets import closing, existing_store, named_app, sqlite_broker, store_options
from .transfer import export_, import_


@click.group("db", cls=Group)
def db() -> None:
    """Look after the store: schema, backups, moving to another one."""


db.add_command(export_)
db.add_command(import_)


@db.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@store_options
@click.pass_context
def status(ctx: click.Context, as_json: bool, app_path: str | None, url: str | None) -> None:
    """Show the schema of the store and the one that this comanda wants; exit 1 if they do not fit."""
    with existing_store(app_path, url) as app:
        found, wanted = app.broker.schema_status()
        oldest = app.broker.oldest_client()
        needs = _needs(found, wanted, oldest)
        about = {"store": _store(app), "namespace": app.namespace, "schema": found, "wanted": wanted}
        if as_json:
            document(about | {"oldest_client": oldest, "needs": needs})
        else:
            fields({**about, **({} if oldest is None else {"oldest client": f"schema {oldest}"})}.items())
        if needs == "migration":
            say("the store needs a migration: comanda db migrate")
        elif needs == "upgrade":
            say(f"the store asks for a comanda that knows schema {oldest} or newer: upgrade comanda")
        ctx.exit(Exit.DONE if needs is None else Exit.FAILED)


@db.command("migrate")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@store_options
def migrate(as_json: bool, app_path: str | None, url: str | None) -> None:
    """Bring the schema of the store up to date, or make it in an empty one. Nothing to do is no error.

    SQLite applies its steps by itself; PostgreSQL waits for this command.
    """
    with closing(named_app(app_path, url)[1]) as app:
        applied = app.broker.migrate()
        found, _ = app.broker.schema_status()
        if as_json:
            document({"applied": applied, "schema": found})
        elif applied:
            steps = "step" if len(applied) == 1 else "steps"
            line(f"applied {steps} {', '.join(map(str, applied))}: {_store(app)} has schema {found}")
        else:
            line(f"nothing to do: {_store(app)} has schema {found}")


@db.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@store_options
def backup(file: Path, app_path: str | None, url: str | None) -> None:
    """Write a copy of the store to the new FILE while everybody goes on working.

    On SQLite that is the whole database, the application's tables included. Servers have tools of their own.
    """
    with existing_store(app_path, url) as app:
        app.broker.backup(file.absolute())
        line(f"{_store(app)} is in {file.absolute()}, {file.stat().st_size / 1e6:,.1f} MB, checked")


@db.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Also when the store holds jobs: they are lost.")
@store_options
def restore(file: Path, force: bool, app_path: str | None, url: str | None) -> None:
    """Put FILE, which `comanda db backup` wrote, in the place of all that is in the store.

    The application's tables included. Stop the workers and the application first. Jobs that ran when the copy was made
    are ready again.
    """
    with closing(named_app(app_path, url)[1]) as app:
        if Capability.BACKUP in app.broker.capabilities and _exists(app):
            _refuse_workers(app)
            _refuse_jobs(app, force=force)
        try:
            app.broker.restore(file.absolute())
        except BrokerTimeout as error:
            sentence = f"another process has the store open: stop the application and its workers ({error})"
            raise Stop(Exit.REFUSED, sentence) from error
        total = sum(app.broker.counts().values())
        line(f"{_store(app)} holds what {file} held: {total:,} job{'' if total == 1 else 's'}")


def _needs(found: int, wanted: int, oldest: int | None) -> str | None:
    """Return what has to be done before this comanda may use the store: migration, upgrade, or nothing (None)."""
    if oldest is not None and oldest > wanted:
        return "upgrade"
    return "migration" if found < wanted else None


def _store(app: Comanda) -> str:
    """Return the store's URL without a password. A server is not asked: its schema may be the thing that is wrong."""
    file = sqlite_broker(app)
    return hide_password(app.url) if file is None else file.describe()["store"]


def _exists(app: Comanda) -> bool:
    """Return whether there is anything to look at, which would be made by looking."""
    file = sqlite_broker(app)
    return file is None or file.path.exists()


def _refuse_workers(app: Comanda) -> None:
    alive = heard_workers(app)
    if alive:
        names = ", ".join(f"{worker.host}/{worker.pid}" for worker in alive[:5])
        raise Stop(Exit.REFUSED, f"workers are alive: {names}; stop them and the application, then restore")


def _refuse_jobs(app: Comanda, *, force: bool) -> None:
    total = sum(app.broker.counts().values())
    if total and not force:
        raise Stop(
            Exit.REFUSED,
            f"{_store(app)} holds {total:,} job{'' if total == 1 else 's'}, which would be lost: "
            "comanda db backup keeps them, --force lets them go",
        )
