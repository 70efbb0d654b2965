"""What travels over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, Field, StringConstraints

from comanda import State

LogId = Annotated[int, Path(ge=1, le=2**63 - 1, description="The log's id")]
"""SQLite's integers end at 2**63 - 1."""


class NewLog(BaseModel):
    """A dev log to be saved; surrounding white space is cut off."""

    entry: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000),
        Field(examples=["Wrote an application with Django today. It runs on ImaginaryNoneExistence Cloud."]),
    ]


class SavedLog(BaseModel):
    """A log as it is answered at once: the slow step has not begun."""

    id: int
    entry: str
    timestamp: datetime


class TagView(BaseModel):
    """A technology found in a log."""

    type: str
    value: str


class JobView(BaseModel):
    """Where the slow step stands. `error` is the type of the last attempt's error, never its text."""

    state: State
    attempts: int
    error: str | None


class Progress(BaseModel):
    """What changes about a log. `job` is null when the queue no longer keeps the job."""

    job: JobView | None
    tags: list[TagView]

    @property
    def ended(self) -> bool:
        """True when nothing more will come by itself."""
        return self.job is None or self.job.state.is_terminal

    @property
    def event_id(self) -> str:
        """Names this stage of the work, for a reader who comes back (`Last-Event-ID`)."""
        return "gone" if self.job is None else f"{self.job.attempts}-{self.job.state}"


class LogView(Progress, SavedLog):
    """A log with its tags and the state of its job."""


class LogPage(BaseModel):
    """Logs, newest first. `next` is the address of the next older ones, null at the end."""

    logs: list[LogView]
    next: str | None
