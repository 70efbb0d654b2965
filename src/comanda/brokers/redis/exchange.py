"""The hot path: settle the last batch and claim the next in one call (RD6)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from msgspec import Struct

from .. import rules
from ..records import MESSAGE, Claimed, Demand, Exchanged, Kind, Outcome
from . import records
from .records import RESULT, UNIQUE
from .store import Argument, Store

PART = 500
"""Jobs that one script settles and claims at most (RD4): it keeps others waiting for about 3 ms, and 250 would cost the
server a fifth more for each job. A larger exchange sends several, one behind the other: the server works on one while
this process encodes or decodes another."""

LIMIT = 1_000
"""Jobs that one claim hands out at most."""

_SUCCESS = Kind.SUCCESS


class Exchange:
    """One process's exchanges: whose turn it is among the queues, and the demands it has encoded."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = 0
        self._demands: dict[Demand, bytes] = {}

    def run(self, owner: int, outcomes: Sequence[Outcome], demand: Demand) -> Exchanged:
        """Write outcomes, then take jobs."""
        answer = Exchanged([], [])
        parts = _divide(outcomes, min(demand.limit, LIMIT))
        batches = (self._arguments(owner, part, demand, is_first=part is parts[0]) for part in parts)
        for index, found in self._store.write_all("exchange", batches):
            self._turn, refused, ids, blobs, states = found
            answer.refused += [parts[index].ordered[position - 1] for position in refused]
            answer.claimed += _claimed(ids, blobs, states)
        return answer

    def _arguments(self, owner: int, part: _Part, demand: Demand, *, is_first: bool) -> list[Argument]:
        arguments: list[Argument] = [
            *(self._store.now(), owner, self._turn, part.limit, int(demand.strict), self._encoded(demand)),
            *(int(is_first), len(part.others), len(part.groups)),
        ]
        for outcome in part.others:
            arguments += _other(owner, outcome)
        for queue, group in part.groups:
            ids = [outcome.job.id for outcome in group]
            states = [records.first_success(owner, outcome) for outcome in group]
            arguments += (queue, len(group), b"".join(ids))
            arguments += map(records.held_field, states, ids)
            arguments += chain.from_iterable(zip(ids, states, strict=True))
        return arguments

    def _encoded(self, demand: Demand) -> bytes:
        found = self._demands.get(demand)
        if found is None:
            if len(self._demands) > 100:  # limits vary; tasks and queues hardly do
                self._demands.clear()
            tasks = dict.fromkeys(demand.tasks, True)
            found = self._demands[demand] = records.encode((MESSAGE in demand.tasks, tasks, demand.queues))
        return found


class _Part(Struct):
    """What one script does: groups of successes by queue that are written as a set, other outcomes, a claim."""

    groups: list[tuple[str, list[Outcome]]]
    others: list[Outcome]
    limit: int

    @property
    def ordered(self) -> list[Outcome]:
        """The outcomes in the order in which the script counts them."""
        return self.others + [outcome for _, group in self.groups for outcome in group]


def _divide(outcomes: Sequence[Outcome], limit: int) -> list[_Part]:
    """Return the parts of an exchange; jobs that go back do so in the first one, so that any part may claim them."""
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
    pieces = [
        (queue, group[first : first + PART]) for queue, group in groups.items() for first in range(0, len(group), PART)
    ]
    parts = [_Part([], [], min(PART, limit - first)) for first in range(0, limit, PART)] or [_Part([], [], 0)]
    parts[0].others = others
    for index, piece in enumerate(pieces):
        if index >= len(parts):
            parts.append(_Part([], [], 0))
        parts[index].groups.append(piece)
    return parts


def _other(owner: int, outcome: Outcome) -> tuple[Argument, ...]:
    job = outcome.job
    result = b"" if outcome.result is None else RESULT + outcome.result
    times = (outcome.started_at, outcome.finished_at)
    recorded = rules.attempt_outcome(outcome)
    attempt = b""
    if recorded is not None:
        attempt = records.encode_attempt(job.attempt, recorded, times, owner, outcome.failure)
    return job.id, job.n, job.fence, int(outcome.kind), *times, outcome.delay, attempt, result


def _claimed(ids: list[bytes], blobs: list[bytes], states: list[bytes]) -> list[Claimed]:
    claimed = []
    for job_id, blob in zip(ids, blobs, strict=True):
        body = records.body(blob)
        job = (body.n, job_id, 1, 1, 0, body.task, body.queue, body.payload, body.options, body.enqueued)
        claimed.append(Claimed(*job))
    for taken, state in zip(claimed, states, strict=False):  # none at all when all are taken for the first time
        if state:
            taken.fence, taken.attempt, taken.crashes = records.counters(state)
    return claimed
