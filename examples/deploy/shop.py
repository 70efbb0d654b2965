"""What the deployment examples run: an application with one task, its API, and what probes ask.

COMANDA_URL says where jobs live: PostgreSQL, Redis or a SQLite file. Nothing here depends on which it is.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, HTTPException

from comanda import BrokerError, Comanda, JobNotFound

app = Comanda()
api = FastAPI(title="shop")


@app.task(timeout=30)
def make_report(month: str) -> str:
    """Return the report of a month."""
    return f"report of {month}"


@api.post("/reports", status_code=202)
def order_report(month: str) -> dict[str, str]:
    """Enqueue a report and answer at once."""
    return {"id": make_report.enqueue(month).id}


@api.get("/reports/{job_id}")
def read_report(job_id: str) -> dict[str, Any]:
    """Return where a report stands, and the report when it is there."""
    try:
        job = app.get_job(job_id)
    except JobNotFound as error:
        raise HTTPException(404, str(error)) from None
    return {"state": job.state, "report": job.result(timeout=5) if job.state == "successful" else None}


@api.get("/healthz")
async def live() -> dict[str, str]:
    """Answer while this process serves. The store is not asked: to restart for its sake would help nobody."""
    return {"status": "ok"}


@api.get("/readyz")
def ready() -> dict[str, str]:
    """Answer 200 while jobs can be enqueued, else 503."""
    try:
        app.broker.counts()
    except BrokerError as error:
        raise HTTPException(503, str(error)) from None
    return {"status": "ok"}
