"""Dev-Guro over HTTP: the routes. `uvicorn comanda.demo.api:api` serves it, `comanda demo` shows it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from comanda import BrokerError, Job, __version__

from . import events, logs
from .database import engine
from .guard import middleware
from .pages import add_pages
from .schemas import LogId, LogPage, LogView, NewLog, SavedLog
from .tasks import app

HOSTS = [name for name in os.environ.get("DEV_GURO_HOSTS", "").split(",") if name]
"""Host names served beside those of the loopback interface."""


@asynccontextmanager
async def lifespan(_api: FastAPI) -> AsyncIterator[None]:
    """Have the tables, and a worker beside this process while it serves."""
    await run_in_threadpool(logs.open_store)
    worker = app.start_worker("comanda.demo.tasks:app", log_level="WARNING")
    yield
    await run_in_threadpool(worker.stop)
    app.close()
    engine.dispose()


api = FastAPI(
    title="Dev-Guro",
    version=__version__,
    description="Save a dev log; the technologies in it appear as tags a moment later.",
    docs_url=None,  # FastAPI's own page loads Swagger UI from a CDN; see /docs below
    redoc_url=None,
    lifespan=lifespan,
    middleware=middleware(HOSTS),
)


@api.exception_handler(RequestValidationError)
def refuse(_request: Request, error: RequestValidationError) -> JSONResponse:
    """Name each field that does not fit, without repeating what was sent: it may hold what no answer can (\\ud800)."""
    detail = [{part: problem[part] for part in ("loc", "msg", "type")} for problem in error.errors()]
    return JSONResponse({"detail": detail}, status_code=422)


NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such log"}}


@api.post("/logs", status_code=201, operation_id="save_log")
def save_log(new: NewLog, response: Response) -> SavedLog:
    """Save a log and answer at once; the slow step runs in the worker."""
    saved = logs.save(new.entry)
    response.headers["Location"] = f"/logs/{saved.id}"
    return saved


@api.get("/logs", operation_id="list_logs")
def list_logs(
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Only logs older than this id")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> LogPage:
    """Return logs, newest first."""
    found = logs.newest(before, limit + 1)
    page = found[:limit]
    return LogPage(logs=page, next=f"/logs?before={page[-1].id}&limit={limit}" if len(found) > limit else None)


@api.get("/logs/{log_id}", operation_id="read_log", responses=NOT_FOUND)
def read_log(log_id: LogId) -> LogView:
    """Return a log with its tags and the state of its job."""
    log = logs.read(log_id)
    if log is None:
        raise _not_found(log_id)
    return log


def followed(log_id: LogId, last_event_id: Annotated[str | None, Header()] = None) -> Job[Any]:
    """Return the job of a log; answer 204, which tells a browser not to come back, when all has been told."""
    progress = logs.progress(log_id)
    if progress is None:
        raise _not_found(log_id)
    job = logs.job_of(log_id)
    if job is None or (progress.ended and progress.event_id == last_event_id):
        raise HTTPException(204)
    return job


@api.get(
    "/logs/{log_id}/events",
    operation_id="follow_log",
    response_class=EventSourceResponse,
    responses={204: {"description": "The job has ended and the reader knows"}, **NOT_FOUND},
)
async def follow_log(
    log_id: LogId, job: Annotated[Job[Any], Depends(followed)], last_event_id: Annotated[str | None, Header()] = None
) -> AsyncIterator[ServerSentEvent]:
    """Stream a log's progress: where it stands, then each change, until its job has ended."""
    async with aclosing(events.follow(log_id, job, seen=last_event_id)) as stages:
        async for progress in stages:
            yield ServerSentEvent(event="progress", id=progress.event_id, data=progress, retry=events.RECONNECT)


@api.get("/healthz", include_in_schema=False)
def health() -> Response:
    """Answer 204 while logs can be saved, else 503: for who runs this."""
    try:
        app.broker.counts()
    except BrokerError as error:
        raise HTTPException(503, str(error)) from None
    return Response(status_code=204)


def _not_found(log_id: int) -> HTTPException:
    return HTTPException(404, f"there is no log {log_id}")


add_pages(api)
