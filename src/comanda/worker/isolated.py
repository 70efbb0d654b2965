"""The process of one isolated job: `python -m comanda.worker.isolated DESCRIPTOR`."""

from __future__ import annotations

import os
import sys
import threading

from .. import logs
from ..brokers.records import Outcome
from ..errors import Cancelled, TimedOut
from ..loading import load_app
from .attempt import Attempt, Runner, begin, now
from .channel import Channel, inherited
from .execute import runner_for
from .messages import Begun, Ended, Interrupted, Run
from .spawning import extend_search
from .surrounded import tasks_at_work


def main(descriptor: int) -> None:
    """Receive one job, run it on the main thread, send what became of it."""
    channel = inherited(descriptor)
    run = channel.first()
    if not isinstance(run, Run):
        raise TypeError(f"expected a job to run, got {type(run).__name__}")
    extend_search(run.search)
    logs.configure(run.log_level)
    attempt = begin(run.job, tasks_at_work(load_app(run.app)), now())
    outcome = attempt if isinstance(attempt, Outcome) else _run(attempt, channel)
    channel.send(
        Ended(
            outcome.kind,
            outcome.started_at,
            outcome.finished_at,
            outcome.result,
            outcome.failure,
            outcome.delay,
        )
    )
    # Threads of the task's own that still run must not keep the process: its job is done.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _run(attempt: Attempt, channel: Channel) -> Outcome:
    runner = runner_for(attempt)
    channel.send(Begun())
    threading.Thread(target=_listen, args=(channel, runner, attempt), name="comanda-control", daemon=True).start()
    return runner.run(attempt)


def _listen(channel: Channel, runner: Runner, attempt: Attempt) -> None:
    """Raise in the job what the child asks for; end with the child."""
    try:
        while True:
            for message in channel.receive():
                if isinstance(message, Interrupted):
                    runner.interrupt(attempt, TimedOut if message.timeout else Cancelled)
    except EOFError:
        os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
