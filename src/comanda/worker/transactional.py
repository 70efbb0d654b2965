"""Tasks that complete inside their own transaction (guarantee 6): begun by need, committed with the job's success."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable

from ..brokers.base import Broker
from ..brokers.completion import AsyncCompletion, Completion
from ..brokers.records import Kind, Outcome
from .attempt import Attempt, now


class Written(Outcome, gc=False):
    """An outcome that needs no settling: the task's own transaction has written it, or found that the job moved on."""

    accepted: bool = True


class Transactional:
    """Runs attempts of transactional tasks for `owner`; their connections are kept from one to the next."""

    def __init__(self, broker: Broker, owner: int) -> None:
        self._broker = broker
        self._owner = owner
        self._pid = os.getpid()
        self._idle: deque[Completion] = deque()
        self._idle_on: dict[asyncio.AbstractEventLoop, deque[AsyncCompletion]] = {}

    def run(self, attempt: Attempt, execute: Callable[[], Outcome]) -> Outcome:
        """Return what `execute` made of the attempt, written already if the task used its connection and succeeded."""
        try:
            completion = self._idle.pop()
        except IndexError:
            completion = self._broker.completion()
        attempt.current.begin = completion.begin
        try:
            outcome = execute()
            attempt.current.begin = None
            return self._end(completion, attempt, outcome)
        finally:
            self._idle.append(completion)

    async def arun(self, attempt: Attempt, execute: Callable[[], Awaitable[Outcome]]) -> Outcome:
        """The same for a coroutine."""
        idle = self._idle_on.setdefault(asyncio.get_running_loop(), deque())
        completion = idle.pop() if idle else self._broker.acompletion()
        try:
            try:
                await completion.open()
            except BaseException as error:  # noqa: BLE001 - a store that fails, or a cancellation: outcomes of the attempt
                return attempt.raised(error, now())
            attempt.current.begin = completion.begin
            outcome = await execute()
            attempt.current.begin = None
            return await self._aend(completion, attempt, outcome)
        finally:
            idle.append(completion)

    def close(self) -> None:
        """Let go of the connections of synchronous tasks that run no more."""
        while self._idle:
            self._idle.pop().close()

    async def aclose(self) -> None:
        """The same for the coroutines of this event loop."""
        for completion in self._idle_on.pop(asyncio.get_running_loop(), ()):
            await completion.close()

    def _end(self, completion: Completion, attempt: Attempt, outcome: Outcome) -> Outcome:
        if not completion.is_begun or os.getpid() != self._pid:
            return outcome  # it never asked for the connection, or this is a child that the task has forked
        try:
            if outcome.kind is Kind.SUCCESS:
                return _written(outcome, completion.complete(self._owner, outcome))
        except Exception as error:  # noqa: BLE001 - what prevents the commit is the failure of the attempt
            outcome = attempt.raised(error, now())
        completion.roll_back()
        return outcome

    async def _aend(self, completion: AsyncCompletion, attempt: Attempt, outcome: Outcome) -> Outcome:
        if not completion.is_begun or os.getpid() != self._pid:
            return outcome
        try:
            if outcome.kind is Kind.SUCCESS:
                return _written(outcome, await completion.complete(self._owner, outcome))
        except BaseException as error:  # noqa: BLE001 - a cancellation too: nothing was committed, or settling finds out
            outcome = attempt.raised(error, now())
        await completion.roll_back()
        return outcome


def _written(outcome: Outcome, accepted: bool) -> Written:
    return Written(
        outcome.job, outcome.kind, outcome.started_at, outcome.finished_at, outcome.result, accepted=accepted
    )


def set_apart(outcomes: list[Outcome]) -> tuple[list[Outcome], list[Outcome], list[Outcome]]:
    """Return the outcomes to be settled, those written already, and those that came too late for it."""
    if not any(type(outcome) is Written for outcome in outcomes):
        return outcomes, [], []
    left: list[Outcome] = []
    written: list[Outcome] = []
    refused: list[Outcome] = []
    for outcome in outcomes:
        if not isinstance(outcome, Written):
            left.append(outcome)
        else:
            (written if outcome.accepted else refused).append(outcome)
    return left, written, refused
