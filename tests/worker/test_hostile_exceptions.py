"""Exceptions whose own code raises when it is looked at fail their job with a sentence (R26), on any executor."""

from __future__ import annotations

import pytest

from comanda import Comanda, JobFailed, Retry, RetryLater

SOON = 20.0


class Nameless(type):
    """A metaclass whose classes do not tell their names."""

    def __getattribute__(cls, name: str) -> object:
        if name in ("__name__", "__qualname__", "__module__"):
            raise RuntimeError("no name")
        return super().__getattribute__(name)


class Unnamed(Exception, metaclass=Nameless):
    """Breaks whoever asks for its name."""


class Renamed(Exception):
    """Has a name that no store takes."""


Renamed.__qualname__ = "\ud800\0" * 1000


class Later(RetryLater):
    """Forgets to say when."""

    def __init__(self) -> None:
        Exception.__init__(self)


class Masked(Exception):
    """Breaks whoever asks what it is."""

    @property  # type: ignore[misc]  # the attack
    def __class__(self) -> type:
        raise RuntimeError("no class")


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        (Unnamed, "failed: Unnamed"),
        (Renamed, r"\\ud800\\x00"),
        (Later, "an exception that cannot be told: looking at it raised AttributeError"),
        (Masked, "an exception that cannot be told: looking at it raised RuntimeError"),
    ],
    ids=["unnamed", "renamed", "later", "masked"],
)
@pytest.mark.parametrize("on_loop", [False, True], ids=["thread", "loop"])
def test_an_exception_that_breaks_whoever_looks_at_it_fails_its_job(
    memory_app: Comanda, raised: type[Exception], sentence: str, on_loop: bool
) -> None:
    @memory_app.task(name="on_thread", retry=Retry(max_attempts=1))
    def on_thread() -> None:
        raise raised()

    @memory_app.task(name="in_loop", retry=Retry(max_attempts=1))
    async def in_loop() -> None:
        raise raised()

    with memory_app.start_worker(concurrency=1):
        job = in_loop.enqueue() if on_loop else on_thread.enqueue()
        with pytest.raises(JobFailed, match=sentence):
            job.result(SOON)
