"""What `app.start_worker()` returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class EmbeddedWorker(ABC):
    """A worker that belongs to this process. As a context manager it stops at the end of the body."""

    @abstractmethod
    def stop(self, timeout: float | None = None) -> None:
        """Stop taking jobs and wait for those that run, at most `timeout` seconds (default: the grace time)."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
