"""Tasks of the project inside the test's process."""

from __future__ import annotations

import threading
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.urls import get_urlconf, set_urlconf
from django.utils import timezone, translation

from comanda import Retry, Secret
from comanda.django import app

seen: list[Any] = []


@app.task
def cook(dish: str) -> str:
    """Cook."""
    seen.append(dish)
    return dish


@app.task(retry=Retry(max_attempts=1))
def burn(dish: str, key: Secret[str]) -> None:
    """Fail, and quote what was cooked."""
    raise ValueError(f"{dish} with {key.reveal()}")


@app.task
def ask(alias: str) -> None:
    """Use the connection of this thread; note which it is, and what it is in."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    seen.append((threading.get_ident(), connection.connection, connection.in_atomic_block))


@app.task
def leave_open(alias: str) -> None:
    """Begin a block and never end it."""
    transaction.atomic(using=alias).__enter__()
    connections[alias].cursor().execute("SELECT 1")


@app.task
def leave_autocommit_off(alias: str) -> None:
    """Switch autocommit off and never on."""
    transaction.set_autocommit(False, using=alias)
    connections[alias].cursor().execute("SELECT 1")


@app.task
def move_to_germany() -> None:
    """Switch language, time zone and URLconf, and leave them so."""
    translation.activate("de")
    timezone.activate("Europe/Berlin")
    set_urlconf("tests.django.elsewhere")


@app.task
def look_around() -> None:
    """Note the language, the time zone and the URLconf."""
    seen.append((translation.get_language(), timezone.get_current_timezone_name(), get_urlconf()))


@app.task
async def ask_twice(alias: str) -> None:
    """Use the ORM's thread of this coroutine."""

    def look() -> None:
        connections[alias].cursor().execute("SELECT 1")
        seen.append((threading.get_ident(), connections[alias].connection))

    await sync_to_async(look)()
    await sync_to_async(look)()
