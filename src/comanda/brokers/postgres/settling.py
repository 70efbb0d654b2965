"""Writing down what became of jobs. Every statement is conditional on (job, fence, owner), which only one can win."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from .. import codes, rules
from ..records import MESSAGE, Kind, Outcome
from .connection import Row
from .statements import query
from .wire import Value, bools, byteas, int2s, int4, int4s, int8s, moments, texts, unpack_int8s

_encode = msgspec.json.Encoder().encode
_SUCCESS = Kind.SUCCESS
_AFTER = {Kind.FAILURE: codes.FAILED, Kind.CANCEL: codes.CANCELLED}

Run = Callable[..., list[Row]]
"""Runs a statement with its parameters."""

SUCCESSES = ("numbers", "fences", "began", "ended", "results")
"""The parameters of SUCCEED, beside `owner`."""

# Index: claimed_pkey.
SUCCEED = """given AS MATERIALIZED (
    SELECT * FROM unnest({numbers}::bigint[], {fences}::integer[], {began}::timestamptz[], {ended}::timestamptz[],
                         {results}::bytea[]) AS g(n, fence, started, finished, result)
), settled AS (
    DELETE FROM {ns}.claimed c USING given g WHERE c.n = g.n AND c.fence = g.fence AND c.owner = {owner}::integer
    RETURNING c.n, c.due, c.expires, c.fence, c.version, c.attempt, c.crashes, c.queue, c.keyed, c.stop,
              g.started, g.finished, g.result
), kept AS (
    INSERT INTO {ns}.done (n, due, expires, started, finished, owner, fence, version, attempt, state, crashes, stop,
                           result)
    SELECT n, CASE WHEN version > 1 THEN due END, expires, started, finished, {owner}::integer, fence, version + 1,
           attempt, 3, crashes, nullif(stop, false), result
    FROM settled
), freed AS (
    DELETE FROM {ns}.keys WHERE n = ANY (ARRAY(SELECT n FROM settled WHERE keyed))
)"""
SUCCESS_COUNTS = """
    SELECT queue, s.state, s.sign * count(*) FROM settled, (VALUES (2, -1), (3, 1)) AS s(state, sign)
    GROUP BY queue, s.state, s.sign"""
HOW_MANY = "(SELECT count(*)::integer FROM settled)"
WHICH = """(
    SELECT CASE WHEN count(*) < cardinality({numbers}::bigint[]) THEN coalesce(string_agg(int8send(n), ''), '') END
    FROM settled
)"""
"""Which were settled, 8 bytes each, where it is not all."""

SETTLE_SUCCESSES = query(
    f"WITH {SUCCEED}, counted AS (INSERT INTO {{ns}}.counts (queue, state, jobs) {SUCCESS_COUNTS})"
    f" SELECT {HOW_MANY}, {WHICH}",
    "owner",
    *SUCCESSES,
)

# Every other end of an attempt. A job that was asked to stop does not come back, it is cancelled. The attempt is
# recorded in the same transaction. Index: claimed_pkey.
_SETTLE = query(
    """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest({numbers}::bigint[], {fences}::integer[], {after}::smallint[], {began}::timestamptz[],
                         {ended}::timestamptz[], {delays}::bigint[], {moved}::boolean[], {uncharged}::integer[],
                         {outcomes}::text[], {failures}::bytea[])
                  AS g(n, fence, after, began, ended, delay, moved, uncharged, outcome, failure)
), gone AS (
    DELETE FROM {ns}.claimed c USING given g WHERE c.n = g.n AND c.fence = g.fence AND c.owner = {owner}::integer
    RETURNING c.n, c.expires, c.task, c.queue, c.fence, c.version, c.rank, c.crashes, c.keyed, c.stop, c.attempt,
              c.attempt - g.uncharged AS attempts, g.began, g.ended, g.outcome, g.failure, g.after > 1 AS is_end,
              CASE WHEN g.after > 1 THEN g.after WHEN c.stop THEN 5 ELSE g.after END AS state,
              CASE WHEN g.moved THEN {now} + g.delay * interval '1 microsecond' ELSE c.due END AS due
), kept AS (
    INSERT INTO {ns}.done (n, due, expires, started, finished, owner, fence, version, attempt, state, crashes, stop)
    SELECT n, due, expires, CASE WHEN is_end THEN began END, CASE WHEN is_end THEN ended ELSE {now} END,
           CASE WHEN is_end THEN {owner}::integer END, fence, version + 1, attempts, state, crashes, stop
    FROM gone WHERE state > 1
), back AS (
    INSERT INTO {ns}.ready (n, due, expires, task, queue, fence, version, attempt, rank, crashes, keyed)
    SELECT n, due, expires, task, queue, fence, version + 1, attempts, rank, crashes, keyed FROM gone WHERE state = 1
), later AS (
    INSERT INTO {ns}.scheduled (n, due, expires, task, queue, fence, version, attempt, rank, crashes, keyed)
    SELECT n, due, expires, task, queue, fence, version + 1, attempts, rank, crashes, keyed FROM gone WHERE state = 0
), recorded AS (
    INSERT INTO {ns}.attempts (n, fence, number, owner, started, finished, outcome, failure)
    SELECT n, fence, attempt, {owner}::integer, began, ended, outcome, failure FROM gone WHERE outcome IS NOT NULL
), freed AS (
    DELETE FROM {ns}.keys WHERE n = ANY (ARRAY(SELECT n FROM gone WHERE keyed AND state > 1))
), counted AS (
    INSERT INTO {ns}.counts (queue, state, jobs)
    SELECT queue, 2, -count(*) FROM gone GROUP BY queue UNION ALL
    SELECT queue, state, count(*) FROM gone GROUP BY queue, state
)
SELECT n FROM gone
""",
    *("owner", "numbers", "fences", "after", "began", "ended", "delays", "moved", "uncharged", "outcomes", "failures"),
)
# An acknowledged message is gone with all that belongs to it. Index: claimed_pkey.
_ACKNOWLEDGE = query(
    """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest({numbers}::bigint[], {fences}::integer[]) AS g(n, fence)
), gone AS (
    DELETE FROM {ns}.claimed c USING given g WHERE c.n = g.n AND c.fence = g.fence AND c.owner = {owner}::integer
    RETURNING c.n, c.queue, c.keyed
), forgotten AS (
    DELETE FROM {ns}.jobs WHERE n = ANY (ARRAY(SELECT n FROM gone))
), unrecorded AS (
    DELETE FROM {ns}.attempts WHERE n = ANY (ARRAY(SELECT n FROM gone))
), undone AS (
    DELETE FROM {ns}.operations WHERE n = ANY (ARRAY(SELECT n FROM gone))
), freed AS (
    DELETE FROM {ns}.keys WHERE n = ANY (ARRAY(SELECT n FROM gone WHERE keyed))
), counted AS (
    INSERT INTO {ns}.counts (queue, state, jobs) SELECT queue, 2, -count(*) FROM gone GROUP BY queue
)
SELECT n FROM gone
""",
    *("owner", "numbers", "fences"),
)


def sort_out(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Return the successes of jobs, which the hot path writes, and all others."""
    plain: list[Outcome] = []
    others: list[Outcome] = []
    for outcome in outcomes:
        (plain if outcome.kind is _SUCCESS and outcome.job.task != MESSAGE else others).append(outcome)
    return plain, others


def success_values(outcomes: Sequence[Outcome]) -> tuple[Value, ...]:
    """Return the parameters that SUCCESSES names."""
    return (
        int8s([outcome.job.n for outcome in outcomes]),
        int4s([outcome.job.fence for outcome in outcomes]),
        moments([outcome.started_at for outcome in outcomes]),
        moments([outcome.finished_at for outcome in outcomes]),
        byteas([outcome.result for outcome in outcomes]),
    )


def succeed(run: Run, owner: int, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Settle successes of jobs; return those refused."""
    if not outcomes:
        return []
    ((_, which),) = run(SETTLE_SUCCESSES, int4(owner), *success_values(outcomes))
    return refused_of(outcomes, which)


def refused_of(outcomes: Sequence[Outcome], which: bytes | None) -> list[Outcome]:
    """Return the outcomes that are not among those settled; of two for one job, the first was."""
    return [] if which is None else _not_among(outcomes, set(unpack_int8s(which)))


def settle_others(run: Run, owner: int, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Settle everything else; return those refused."""
    unique = list({outcome.job.n: outcome for outcome in reversed(outcomes)}.values())
    messages = [outcome for outcome in unique if outcome.kind is _SUCCESS]
    jobs = [outcome for outcome in unique if outcome.kind is not _SUCCESS]
    settled: set[int] = set()
    if messages:
        keys = int8s([outcome.job.n for outcome in messages]), int4s([outcome.job.fence for outcome in messages])
        settled |= {n for (n,) in run(_ACKNOWLEDGE, int4(owner), *keys)}
    if jobs:
        settled |= {n for (n,) in run(_SETTLE, int4(owner), *_values(jobs))}
    return _not_among(outcomes, settled)


def _not_among(outcomes: Sequence[Outcome], settled: set[int]) -> list[Outcome]:
    refused = []
    for outcome in outcomes:
        if outcome.job.n in settled:
            settled.remove(outcome.job.n)
        else:
            refused.append(outcome)
    return refused


def _values(outcomes: list[Outcome]) -> tuple[Value, ...]:
    failures = [None if outcome.failure is None else _encode(outcome.failure) for outcome in outcomes]
    return (
        int8s([outcome.job.n for outcome in outcomes]),
        int4s([outcome.job.fence for outcome in outcomes]),
        int2s([_AFTER.get(o.kind, codes.SCHEDULED if o.delay > 0 else codes.READY) for o in outcomes]),
        moments([outcome.started_at for outcome in outcomes]),
        moments([outcome.finished_at for outcome in outcomes]),
        int8s([outcome.delay for outcome in outcomes]),
        bools([_is_moved(outcome) for outcome in outcomes]),
        int4s([int(o.kind not in _AFTER and o.kind != Kind.RETRY) for o in outcomes]),
        texts([rules.attempt_outcome(outcome) for outcome in outcomes]),
        byteas(failures),
    )


def _is_moved(outcome: Outcome) -> bool:
    """Return whether a job gets a new due time: a released one keeps its place in the line."""
    return outcome.kind not in _AFTER and not (outcome.kind == Kind.RELEASE and not outcome.delay)
