"""The hot path: settle the last batch and claim the next in one call (RD6)."""

from __future__ import annotations

from collections.abc import Sequence

from .. import rules
from ..records import MESSAGE, Claimed, Demand, Exchanged, Kind, Outcome
from . import records
from .records import RESULT, UNIQUE
from .store import Argument, Store

LIMIT = 1_000
"""Jobs that one claim hands out at most, so that its script does not hold up the server."""

_SUCCESS = Kind.SUCCESS
_ID = 14
"""Where the id begins in an entry of a line, behind rank, due time and n."""


class Exchange:
    """One process's exchanges: whose turn it is among the queues, and the demands it has encoded."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = 0
        self._demands: dict[Demand, bytes] = {}

    def run(self, owner: int, outcomes: Sequence[Outcome], demand: Demand) -> Exchanged:
        """Write outcomes, then take jobs."""
        groups, others = _divide(outcomes)
        ordered = [outcome for group in groups.values() for outcome in group] + others
        arguments: list[Argument] = [
            *(self._store.now(), owner, self._turn, min(demand.limit, LIMIT), int(demand.strict)),
            *(self._encoded(demand), len(groups), len(others)),
        ]
        for queue, group in groups.items():
            arguments += (queue, len(group))
            arguments += [outcome.job.id for outcome in group]
            news = [records.first_success(owner, outcome) for outcome in group]
            arguments += [records.number(state) for state in news]
            arguments += news
        for outcome in others:
            arguments += _other(owner, outcome)
        self._turn, refused, members, blobs, states = self._store.write("exchange", arguments)
        return Exchanged([ordered[position - 1] for position in refused], _claimed(members, blobs, states))

    def _encoded(self, demand: Demand) -> bytes:
        found = self._demands.get(demand)
        if found is None:
            if len(self._demands) > 100:  # limits vary; tasks and queues hardly do
                self._demands.clear()
            tasks = dict.fromkeys(demand.tasks, True)
            found = self._demands[demand] = records.encode((MESSAGE in demand.tasks, tasks, demand.queues))
        return found


def _divide(outcomes: Sequence[Outcome]) -> tuple[dict[str, list[Outcome]], list[Outcome]]:
    """Return the successes that are written as a set, by queue, and the other outcomes."""
    groups: dict[str, list[Outcome]] = {}
    others: list[Outcome] = []
    for outcome in outcomes:
        job = outcome.job
        if outcome.kind is _SUCCESS and job.fence == 1 and not job.n & UNIQUE and job.task != MESSAGE:
            group = groups.get(job.queue)
            if group is None:
                group = groups[job.queue] = []
            group.append(outcome)
        else:
            others.append(outcome)
    return groups, others


def _other(owner: int, outcome: Outcome) -> tuple[Argument, ...]:
    job = outcome.job
    result = b"" if outcome.result is None else RESULT + outcome.result
    times = (outcome.started_at, outcome.finished_at)
    recorded = rules.attempt_outcome(outcome)
    attempt = b""
    if recorded is not None:
        attempt = records.encode_attempt(job.attempt, recorded, times, owner, outcome.failure)
    return job.id, job.n, job.fence, int(outcome.kind), *times, outcome.delay, attempt, result


def _claimed(members: list[bytes], blobs: list[bytes], states: list[bytes]) -> list[Claimed]:
    claimed = []
    for member, blob in zip(members, blobs, strict=True):
        body = records.body(blob)
        claimed.append(
            Claimed(
                *(body.n, member[_ID:], 1, 1, 0, body.task, body.queue, body.payload, body.options, body.enqueued),
            )
        )
    for job, state in zip(claimed, states, strict=False):  # none at all when all are taken for the first time
        if state:
            job.fence, job.attempt, job.crashes = records.counters(state)
    return claimed
