"""The hot path: settle the last batch and claim the next in one statement, which is one round trip and one commit.

A claim walks along the index `ready_line`, locks what nobody else has locked, and deletes exactly those rows by their
place, so that no estimate of the planner's decides how jobs are found.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache

from msgspec import structs

from ...errors import BrokerTimeout
from ..base import PROMOTION_STEP
from ..records import MESSAGE, Claimed, Demand, Exchanged, Outcome
from ..rotation import Rotation
from . import settling
from .connection import Row
from .line import Line, Place
from .line import values as place_values
from .names import Names
from .statements import query
from .store import Session, Store
from .wire import EPOCH, bool_, int4, int8, texts

EXPIRY_STEP = 500
"""Expired jobs of one queue that a claim ends before it gives up looking behind them; the rescue ends the rest."""

# Guarantees: each row is taken by one claim, in the order priority, due time, enqueue; what has expired ends instead.
# Index: ready_line.
_TAKE = """locked AS MATERIALIZED (
    SELECT r.ctid AS place FROM {ns}.ready r
    WHERE r.queue = {queue}::integer AND {tasks} AND EXISTS (SELECT FROM alive) {behind}
    ORDER BY r.rank, r.due, r.n LIMIT {limit}::bigint FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM {ns}.ready WHERE ctid = ANY (ARRAY(SELECT place FROM locked))
    RETURNING n, due, expires, task, queue, fence, version, attempt, rank, crashes, keyed,
              coalesce(expires <= {now}, false) AS late
), held AS (
    INSERT INTO {ns}.claimed (n, due, expires, started, owner, task, queue, fence, version, attempt, rank, crashes,
                              keyed)
    SELECT n, due, expires, {now}, {owner}::integer, task, queue, fence + 1, version + 1, attempt + 1, rank, crashes,
           keyed
    FROM taken WHERE NOT late
), over AS (
    INSERT INTO {ns}.done (n, due, expires, finished, fence, version, attempt, state, crashes, stop)
    SELECT n, due, expires, {now}, fence, version + 1, attempt, 6, crashes, false FROM taken WHERE late
), let_go AS (
    DELETE FROM {ns}.keys WHERE n = ANY (ARRAY(SELECT n FROM taken WHERE late AND keyed))
)"""
_TAKEN_COUNTS = """
    SELECT queue, 1, -count(*) FROM taken GROUP BY queue UNION ALL
    SELECT queue, CASE WHEN late THEN 6 ELSE 2 END, count(*) FROM taken GROUP BY queue, late"""
# What the worker needs to know, by an index scan for each job (jobs_pkey): a join's plan would depend on sizes.
_TAKEN = """
SELECT t.n, j.id, t.fence + 1, t.attempt + 1, t.crashes::integer, t.task, j.payload, j.options, j.enqueued, t.late,
       t.rank::integer, t.due
FROM taken t CROSS JOIN LATERAL (
    SELECT id, payload, options, enqueued FROM {ns}.jobs WHERE jobs.n = t.n OFFSET 0
) j
ORDER BY t.rank, t.due, t.n"""

# The owner's row is locked so that nobody buries it before the jobs are its; heartbeats pass.
_IS_ALIVE = query(
    "SELECT FROM {ns}.workers WHERE n = {owner}::integer AND ended IS NULL FOR KEY SHARE",
    "owner",
)
# For a worker whose other queues are empty. If something is due, or another queue has anything, nothing is claimed and
# the last row says so. The lock is not taken where there is nothing to do, since it is a write.
_ALONE = """look AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM {ns}.scheduled WHERE due <= {now}) AS due,
           EXISTS (
               SELECT FROM {ns}.queues q
               WHERE q.n <> {queue}::integer AND NOT q.paused AND q.messages = {messages}::boolean
                 AND ({names}::text[] IS NULL OR q.name = ANY ({names}::text[]))
                 AND EXISTS (SELECT FROM {ns}.ready r WHERE r.queue = q.n)
           ) AS others,
           (SELECT count(*)::integer FROM {ns}.queues q WHERE NOT q.paused AND q.messages = {messages}::boolean
               AND ({names}::text[] IS NULL OR q.name = ANY ({names}::text[]))) AS open,
           pg_stat_get_dead_tuples('{ns}.ready'::regclass) > 50000 AS crowded
), alive AS MATERIALIZED (
    SELECT FROM {ns}.workers
    WHERE n = {owner}::integer AND ended IS NULL AND NOT (SELECT due OR others FROM look)
      AND EXISTS (SELECT FROM {ns}.queues WHERE n = {queue}::integer AND NOT paused)
      AND EXISTS (SELECT FROM {ns}.ready r WHERE r.queue = {queue}::integer {behind})
    FOR KEY SHARE
)"""
_LOOKED = "(SELECT due::integer + 2 * others::integer + 4 * crowded::integer + 8 * open FROM look)"
_CLAIMING = ("owner", "queue", "limit", "messages", "names", "rank", "due", "number")
_BEHIND = "AND (r.rank, r.due, r.n) > ({rank}::smallint, {due}::timestamptz, {number}::bigint)"

_CLAIM = query(
    f"""
WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)), {_ALONE}, {_TAKE}, counted AS (
    INSERT INTO {{ns}}.counts (queue, state, jobs) {_TAKEN_COUNTS}
)
({_TAKEN})
UNION ALL SELECT NULL, NULL, 0, NULL, NULL, {_LOOKED}, NULL, NULL, NULL, NULL, NULL, NULL FROM quick
""".replace("{behind}", _BEHIND),
    *_CLAIMING,
)
_EXCHANGE = query(
    f"""
WITH {settling.SUCCEED}, {_ALONE}, {_TAKE}, counted AS (
    INSERT INTO {{ns}}.counts (queue, state, jobs) {settling.SUCCESS_COUNTS} UNION ALL {_TAKEN_COUNTS}
)
({_TAKEN})
UNION ALL
SELECT NULL, NULL, {settling.HOW_MANY}, NULL, NULL, {_LOOKED}, {settling.WHICH}, NULL, NULL, NULL, NULL, NULL
""".replace("{behind}", _BEHIND),
    *_CLAIMING,
    *settling.SUCCESSES,
)
_TAKE_FROM = query(
    f"""
WITH alive AS (SELECT), {_TAKE}, counted AS (INSERT INTO {{ns}}.counts (queue, state, jobs) {_TAKEN_COUNTS})
{_TAKEN}
""".replace("{behind}", ""),
    *("owner", "queue", "limit"),
)

# Guarantees: due jobs are ready, the earliest first. Index: scheduled_due.
_PROMOTE = f"""
WITH due AS MATERIALIZED (
    SELECT n FROM {{ns}}.scheduled WHERE due <= {{now}} ORDER BY due, n LIMIT {PROMOTION_STEP} FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM {{ns}}.scheduled WHERE n = ANY (ARRAY(SELECT n FROM due))
    RETURNING n, due, expires, task, queue, fence, version, attempt, rank, crashes, keyed
), back AS (
    INSERT INTO {{ns}}.ready (n, due, expires, task, queue, fence, version, attempt, rank, crashes, keyed)
    SELECT n, due, expires, task, queue, fence, version + 1, attempt, rank, crashes, keyed FROM gone
)
INSERT INTO {{ns}}.counts (queue, state, jobs)
SELECT queue, s.state, s.sign * count(*) FROM gone, (VALUES (0, -1), (1, 1)) AS s(state, sign)
GROUP BY queue, s.state, s.sign
"""
_QUEUES = query(
    """
SELECT look.due, q.n, q.name, EXISTS (SELECT FROM {ns}.ready r WHERE r.queue = q.n)
FROM (SELECT EXISTS (SELECT FROM {ns}.scheduled WHERE due <= {now}) AS due) look
LEFT JOIN {ns}.queues q ON NOT q.paused AND q.messages = {messages}::boolean ORDER BY q.n
""",
    "messages",
)

_Kind = tuple[frozenset[str], tuple[str, ...] | None]
"""What a worker can run, and the queues it serves."""

Queue = tuple[int, str, bool]
"""Number, name, and whether anything is ready in it."""


class Exchange:
    """The claims of one process, in rotation over a worker's queues."""

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names
        self._rotation = Rotation()
        self._alone: dict[_Kind, Queue] = {}
        self._lines: dict[int, Line] = {}

    def run(self, owner: int, outcomes: Sequence[Outcome], demand: Demand) -> Exchanged:
        """Settle and claim: in one statement where the outcomes are successes and one queue has all the work."""
        plain, others = settling.sort_out(outcomes)
        if not demand.limit:
            return Exchanged(self._settle(owner, plain, others), [])
        self._names.task_list(demand.tasks)  # before a transaction: behind a pooler there may be no second connection
        queue = self._alone.get((demand.tasks, demand.queues))
        if others or queue is None:
            return self._store.transact(
                lambda session: self._step_by_step(session, owner, plain, others, demand), durable=bool(outcomes)
            )
        answer, is_complete = self._at_once(owner, plain, demand, queue)
        if not is_complete:
            left = structs.replace(demand, limit=demand.limit - len(answer.claimed))
            more = self._store.transact(lambda session: self._step_by_step(session, owner, [], [], left), durable=False)
            answer.claimed += more.claimed
        return answer

    def _settle(self, owner: int, plain: list[Outcome], others: list[Outcome]) -> list[Outcome]:
        if not others:
            return settling.succeed(self._store.run, owner, plain)

        def body(session: Session) -> list[Outcome]:
            refused = settling.succeed(session.run, owner, plain)
            return refused + settling.settle_others(session.run, owner, others)

        return self._store.transact(body)

    # -- in one statement ---------------------------------------------------------------------------------------

    def _at_once(self, owner: int, plain: list[Outcome], demand: Demand, queue: Queue) -> tuple[Exchanged, bool]:
        """Settle successes and claim from one queue; also return whether that was all there is to do."""
        line = self._lines.setdefault(queue[0], Line())
        start = line.start
        began = time.monotonic()
        try:
            rows = self._ask(owner, plain, demand, queue[0], start)
        except BrokerTimeout:
            if not line.give_up(start):
                raise
            start = line.start
            rows = self._ask(owner, plain, demand, queue[0], start)
        looked, which = rows[-1][5], rows.pop()[6]
        last = (rows[-1][10], rows[-1][11], rows[-1][0]) if rows else None
        line.note(start, time.monotonic() - began, is_crowded=bool(looked & 4), last=last)
        claimed = self._claimed(queue[1], rows)
        more, queues = looked & 3, looked >> 3
        if not more:
            self._rotation.pass_by(queues, strict=demand.strict)
        return Exchanged(settling.refused_of(plain, which), claimed), not more and len(claimed) == len(rows)

    def _ask(self, owner: int, plain: list[Outcome], demand: Demand, queue: int, start: Place) -> list[Row]:
        names = None if demand.queues is None else texts(demand.queues)
        values = (int4(owner), int4(queue), int8(demand.limit), bool_(MESSAGE in demand.tasks), names)
        tasks = self._names.task_list(demand.tasks)
        if plain:
            parameters = (*values, *place_values(start), *settling.success_values(plain))
            return self._store.run(_for_tasks(_EXCHANGE, tasks), *parameters)
        return self._store.run(_for_tasks(_CLAIM, tasks), *values, *place_values(start))

    # -- step by step -------------------------------------------------------------------------------------------

    def _step_by_step(
        self, session: Session, owner: int, plain: list[Outcome], others: list[Outcome], demand: Demand
    ) -> Exchanged:
        """Settle, promote what is due, and visit the queues one after the other."""
        refused = settling.succeed(session.run, owner, plain)
        refused += settling.settle_others(session.run, owner, others)
        queues = self._open_queues(session, demand)
        busy = [queue for queue in queues if queue[2]]
        if len(busy) < 2 and queues:
            self._alone[demand.tasks, demand.queues] = (busy or queues)[0]
        if not busy:
            self._rotation.pass_by(len(queues), strict=demand.strict)
            return Exchanged(refused, [])
        if not session.run(_IS_ALIVE, int4(owner)):
            return Exchanged(refused, [])
        text = _for_tasks(_TAKE_FROM, self._names.task_list(demand.tasks))

        def take_from(queue: Queue, wanted: int) -> list[Claimed]:
            return self._take_from(session, text, owner, queue, wanted) if queue[2] else []

        return Exchanged(refused, self._rotation.take(queues, demand.limit, take_from, strict=demand.strict))

    def _open_queues(self, session: Session, demand: Demand) -> list[Queue]:
        """Make due jobs ready; return the open queues, in the order in which the demand names them."""
        messages = bool_(MESSAGE in demand.tasks)
        rows = session.run(_QUEUES, messages)
        if rows[0][0]:
            session.run(_PROMOTE)
            rows = session.run(_QUEUES, messages)
        found = [(number, name, is_busy) for _, number, name, is_busy in rows if number is not None]
        if demand.queues is None:
            return found
        by_name = {queue[1]: queue for queue in found}
        return [by_name[name] for name in demand.queues if name in by_name]

    def _take_from(self, session: Session, text: str, owner: int, queue: Queue, wanted: int) -> list[Claimed]:
        """Take up to `wanted` jobs of one queue; what has expired ends instead."""
        taken: list[Claimed] = []
        expired = 0
        while len(taken) < wanted and expired <= EXPIRY_STEP:
            rows = session.run(text, int4(owner), int4(queue[0]), int8(wanted - len(taken)))
            claimed = self._claimed(queue[1], rows)
            taken += claimed
            if len(claimed) == len(rows):
                break
            expired += len(rows) - len(claimed)
        return taken

    def _claimed(self, queue: str, rows: list[Row]) -> list[Claimed]:
        tasks = {number: self._names.task_name(number) for number in {row[5] for row in rows}}
        return [
            Claimed(n, id_, fence, attempt, crashes, tasks[task], queue, payload, options, enqueued + EPOCH)
            for n, id_, fence, attempt, crashes, task, payload, options, enqueued, late, _, _ in rows
            if not late
        ]


@lru_cache(maxsize=256)
def _for_tasks(template: str, tasks: tuple[int, ...]) -> str:
    """Return a claim of these tasks. They stand in it as numbers: a single one is looked for inside the index.

    Several as a condition of the index would cost its order (before PostgreSQL 17): the whole queue would be sorted
    for every claim. `+ 0` makes them a filter.
    """
    listed = ", ".join(map(str, tasks))
    return template.replace("{tasks}", f"r.task = {listed}" if len(tasks) == 1 else f"r.task + 0 IN ({listed or 0})")
