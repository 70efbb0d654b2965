"""A web application that enqueues, with a worker beside it while it serves: `uvicorn tests.e2e.apps.web:api`."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from comanda import Comanda, logs

app = Comanda()

_log = logging.getLogger("web")
logs.configure()


@app.task
def add(left: int, right: int) -> int:
    """Add."""
    logging.getLogger("sums").info("adding")
    return left + right


@app.task
def where() -> int:
    """Return the process that runs this."""
    return os.getpid()


@asynccontextmanager
async def lifespan(_api: FastAPI) -> AsyncIterator[None]:
    """Have a worker while serving."""
    with app.start_worker():
        yield


api = FastAPI(lifespan=lifespan)


@api.post("/sums", status_code=202)
async def sums(left: int, right: int) -> dict[str, str]:
    """Answer at once; the sum comes later."""
    job = await add.aenqueue(left, right)
    _log.info("accepted", extra={"job_id": job.id})
    return {"id": job.id}


@api.get("/sums/{job_id}")
async def result(job_id: str) -> dict[str, int]:
    """Wait for the sum."""
    job = await app.aget_job(job_id)
    return {"sum": await job.aresult(20)}


@api.get("/workers")
async def worker() -> dict[str, int]:
    """Tell which process works."""
    job = await where.aenqueue()
    return {"pid": await job.aresult(20)}
