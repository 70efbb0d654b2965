"""A worker and a rescuer, in every order of their steps: forced interleavings (reliability guide, 2.3).

Both hold the same job for a while. Whatever the order, the job ends once, with the outcome of whoever held it last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import pytest

from comanda import Comanda
from comanda.brokers.records import Claimed, Demand, Failure, JobFilter, Kind, NewJob, Outcome, State, WorkerInfo
from comanda.ids import new_ids
from comanda.outcome import handed_back, succeeded

Step = Callable[[], None]

DEMAND = Demand(1, frozenset({"task"}))


class Actor:
    """A worker that writes down what it claimed and which of its outcomes were taken."""

    def __init__(self, app: Comanda, name: str) -> None:
        self._broker = app.broker
        self.name = name
        self.owner = app.broker.register(WorkerInfo(host=name, pid=1, version="0", kind="child", tasks=("task",)))
        self.held: Claimed | None = None
        self.accepted: list[str] = []

    def claim(self) -> None:
        found = self._broker.claim(self.owner, DEMAND)
        if found:
            self.held = found[0]

    def beat(self) -> None:
        self._broker.heartbeat([self.owner])

    def succeed(self) -> None:
        self._settle("success", lambda job: succeeded(job, b'"' + self.name.encode() + b'"', 1, 2))

    def retry(self) -> None:
        self._settle("retry", lambda job: Outcome(job, Kind.RETRY, 1, 2, None, Failure("E", ""), 0))

    def hand_back(self) -> None:
        self._settle("release", handed_back)

    def _settle(self, kind: str, outcome: Callable[[Claimed], Outcome]) -> None:
        if self.held is not None and not self._broker.settle(self.owner, [outcome(self.held)]):
            self.accepted.append(kind)


def _orders(first: list[str], second: list[str]) -> Iterator[list[tuple[int, str]]]:
    """Yield every order of two actors' steps."""
    total = len(first) + len(second)
    for places in combinations(range(total), len(first)):
        left, right = iter(first), iter(second)
        yield [(0, next(left)) if place in places else (1, next(right)) for place in range(total)]


SCENARIOS = {
    "sweep selects, worker finishes, sweep updates (river#1302)": (
        ["claim", "beat", "succeed"],
        ["release other", "claim", "succeed"],
    ),
    "lease lost, rescue, old worker finishes (bull#308)": (
        ["claim", "succeed", "beat"],
        ["release other", "claim", "beat", "succeed"],
    ),
    "hand-back, claim by the same worker, old finish": (
        ["claim", "hand_back", "succeed"],
        ["claim", "retry", "claim", "succeed"],
    ),
    "failure and rescue": (["claim", "retry", "claim", "succeed"], ["release other", "claim", "succeed"]),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_in_every_order_a_job_ends_once(app: Comanda, scenario: str) -> None:
    first, second = SCENARIOS[scenario]
    for order in _orders(first, second):
        actors = [Actor(app, "worker"), Actor(app, "rescuer")]
        job_id = new_ids(1)[0]
        app.broker.enqueue([NewJob(id=job_id, task="task", queue="default", payload=b"{}")])
        for turn, step in order:
            if step == "release other":
                app.broker.release(actors[1 - turn].owner, ())
            else:
                getattr(actors[turn], step)()
        for actor in actors:  # they leave: nothing may stay running
            app.broker.release(actor.owner, ())
        record = app.broker.get([job_id])[0]
        assert record is not None
        ended = [actor for actor in actors if "success" in actor.accepted]
        assert len(ended) <= 1, order
        if ended:
            assert record.state == State.SUCCESSFUL, order
            assert record.result == b'"' + ended[0].name.encode() + b'"', order
        else:
            assert record.state == State.READY, order
        app.broker.delete(JobFilter())
