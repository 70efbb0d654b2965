"""The slow step, as a task. A worker's children import this module and nothing of the web."""

from __future__ import annotations

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from comanda import Comanda, Retry

from .database import PLACES, TECH_STACK, Log, Tag, engine, now
from .extract import extract
from .extract.catalogue import catalogue

catalogue()
"""Read while one thread runs: msgspec (0.22) crashes the process when several use a type for the first time at once."""

app = Comanda(PLACES.queue, outbox=PLACES.outbox)


@app.task(retry=Retry(max_attempts=5))  # no time-out of its own: a model's answer has one, DEV_GURO_TIMEOUT
def extract_tags(log_id: int) -> list[str]:
    """Find the technologies in a log and store them as its tags; return them.

    No transaction is open while the slow step runs. The tags are replaced as a whole, so an attempt that repeats
    another one's work neither doubles nor mixes them. A log that was deleted meanwhile has no tags.
    """
    with Session(engine) as session:
        entry = session.scalar(select(Log.entry).where(Log.id == log_id))
    values = [] if entry is None else list(dict.fromkeys(extract(entry)))
    with Session(engine) as session, session.begin():
        session.execute(delete(Tag).where(Tag.log_id == log_id))
        if values:
            moment = now()
            rows = [{"log_id": log_id, "type": TECH_STACK, "value": value, "timestamp": moment} for value in values]
            session.execute(insert(Tag), rows)
    return values
