"""The job's id on every line of a task; its secrets on none."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from comanda import Comanda, Job, Secret, current_job
from comanda.logs import JobFilter, configure
from comanda.testing import run_jobs

LONG = 30.0
"""Seconds that only a failing test waits."""


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """What a handler of the application's writes, with a format that shows the job."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(job)s%(message)s|%(job_id)s"))
    handler.addFilter(JobFilter())
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


log = logging.getLogger("shop")


def test_every_line_of_a_task_carries_its_job_s_id(memory_app: Comanda, output: io.StringIO) -> None:
    """S2-17."""

    def work(number: int) -> None:
        log.warning("working on %d", number)
        logging.getLogger("a.library").error("oh")

    jobs = [memory_app.task(name="work")(work).enqueue(number) for number in range(2)]
    log.warning("outside")
    run_jobs(memory_app)
    assert [line for line in output.getvalue().splitlines() if "comanda" not in line] == [
        "WARNING shop outside|",
        *(
            line
            for number, job in enumerate(jobs)
            for line in (
                f"WARNING shop [{job.id}] working on {number}|{job.id}",
                f"ERROR a.library [{job.id}] oh|{job.id}",
            )
        ),
    ]


def test_every_line_of_a_coroutine_carries_its_job_s_id(memory_app: Comanda, output: io.StringIO) -> None:
    async def work() -> str:
        log.warning("here")
        return current_job().id

    job: Job[str] = memory_app.task(name="work")(work).enqueue()
    run_jobs(memory_app)
    assert job.result(timeout=LONG) == job.id
    assert f"[{job.id}] here" in output.getvalue()


def test_a_record_that_names_a_job_itself_keeps_it(output: io.StringIO) -> None:
    log.warning("settled", extra={"job_id": "42"})
    assert output.getvalue() == "WARNING shop [42] settled|42\n"


class Clumsy:
    """An argument whose text cannot be made."""

    def __str__(self) -> str:
        raise ValueError("hunter2")


def test_secrets_are_masked_in_messages_arguments_tracebacks_and_stacks(
    memory_app: Comanda, output: io.StringIO
) -> None:
    def work(password: Secret[str]) -> None:
        word = password.reveal()
        log.warning("as message " + word)  # noqa: G003 - the very thing
        log.warning("as argument %s", word)
        log.warning("as %s", {"a": "dict"}, extra={"unrelated": word})
        try:
            int(word)
        except ValueError:
            log.exception("as exception")
        log.warning("with a stack", stack_info=True)
        log.warning("a wrong format %d", word)
        log.warning("a clumsy argument %s", Clumsy())

    memory_app.task(name="work")(work).enqueue(Secret("hunter2"))
    run_jobs(memory_app)
    text = output.getvalue()
    assert "hunter2" not in text
    assert "as message •••" in text
    assert "as argument •••" in text
    assert "ValueError: invalid literal for int() with base 10: '•••'" in text
    assert "Stack (most recent call last)" in text
    assert "a wrong format %d (and its arguments do not fit: TypeError)" in text
    assert "a clumsy argument %s (and its arguments do not fit: ValueError)" in text
    assert "failed" not in text


def test_the_worker_s_own_lines_about_a_failure_hold_no_secret(memory_app: Comanda, output: io.StringIO) -> None:
    def work(password: Secret[str]) -> None:
        raise ValueError(password.reveal())

    job = memory_app.task(name="work")(work).enqueue(Secret("hunter2"))
    run_jobs(memory_app)
    assert job.id in output.getvalue()
    assert "hunter2" not in output.getvalue()
    attempt = job.attempts[0]
    assert "hunter2" not in attempt.error_message + attempt.traceback


@contextmanager
def bare_root(*handlers: logging.Handler) -> Iterator[logging.Logger]:
    """The root logger as it is in a process in which nobody, or only the application, has configured logging."""
    root, own = logging.getLogger(), logging.getLogger("comanda")
    before, level, own_level = root.handlers[:], root.level, own.level
    root.handlers[:] = handlers
    try:
        yield root
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        own.setLevel(own_level)


def test_a_process_without_logging_gets_lines_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with bare_root() as root:
        configure("warning")
        configure("warning")
        assert [[type(one) for one in handler.filters] for handler in root.handlers] == [[JobFilter]]
        assert (root.level, logging.getLogger("comanda").level) == (logging.WARNING, logging.WARNING)
        log.warning("here")
    assert capsys.readouterr().err.endswith("WARNING shop here\n")


def test_an_application_s_own_handlers_stay_and_learn_the_job() -> None:
    handler = logging.NullHandler()
    with bare_root(handler) as root:
        root.setLevel(logging.ERROR)
        configure("DEBUG")
        assert root.handlers == [handler]
        assert root.level == logging.ERROR
        assert [type(one) for one in handler.filters] == [JobFilter]
        assert logging.getLogger("comanda").level == logging.DEBUG
