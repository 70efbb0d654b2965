"""Moving waiting jobs from one table to another, a set at a time, with their counts.

Each statement begins with `gone`: the rows that were where they were looked for, deleted by this statement and no
other. What had moved on meanwhile is not among them, which is how the state is tested in the write itself (R8).
"""

from __future__ import annotations

from .statements import query

THIN = "n, due, expires, task, queue, fence, version, attempt, rank, crashes, keyed"

# Looks at the beginning of each line only: what stands far behind is in nobody's way, and a look at a million rows
# every 2 s would be. Index: ready_line.
PARK = query(
    f"""
WITH unknown AS MATERIALIZED (
    SELECT r.place, r.task FROM {{ns}}.queues q CROSS JOIN LATERAL (
        SELECT ctid AS place, task FROM {{ns}}.ready WHERE queue = q.n ORDER BY rank, due, n LIMIT 10000
    ) r
    WHERE r.task = ANY ({{tasks}}::integer[]) LIMIT {{limit}}::bigint
), locked AS MATERIALIZED (
    SELECT ctid AS place FROM {{ns}}.ready WHERE ctid = ANY (ARRAY(SELECT place FROM unknown)) FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM {{ns}}.ready WHERE ctid = ANY (ARRAY(SELECT place FROM locked)) AND task = ANY ({{tasks}}::integer[])
    RETURNING {THIN}
), kept AS (
    INSERT INTO {{ns}}.parked ({THIN})
    SELECT n, due, expires, task, queue, fence, version + 1, attempt, rank, crashes, keyed FROM gone
)
SELECT count(*) FROM gone
""",
    *("tasks", "limit"),
)
# Index: parked_task. What another one unparks at the same time is left to it.
UNPARK = query(
    f"""
WITH locked AS MATERIALIZED (
    SELECT n FROM {{ns}}.parked WHERE task = ANY ({{tasks}}::integer[]) LIMIT {{limit}}::bigint FOR UPDATE
), gone AS (
    DELETE FROM {{ns}}.parked WHERE n = ANY (ARRAY(SELECT n FROM locked)) RETURNING {THIN}
), kept AS (
    INSERT INTO {{ns}}.ready ({THIN})
    SELECT n, due, expires, task, queue, fence, version + 1, attempt, rank, crashes, keyed FROM gone
)
SELECT count(*) FROM gone
""",
    *("tasks", "limit"),
)


def _expiring(table: str) -> str:
    return f"""(
        SELECT ctid FROM {{ns}}.{table} WHERE expires IS NOT NULL AND expires <= {{now}}
        ORDER BY expires LIMIT {{limit}}::bigint FOR UPDATE SKIP LOCKED
    )"""


# Indexes: ready_expiring, scheduled_expiring, parked_expiring.
EXPIRE = query(
    f"""
WITH of_ready AS (
    DELETE FROM {{ns}}.ready WHERE ctid = ANY (ARRAY{_expiring("ready")}) RETURNING {THIN}
), of_scheduled AS (
    DELETE FROM {{ns}}.scheduled WHERE ctid = ANY (ARRAY{_expiring("scheduled")}) RETURNING {THIN}
), of_parked AS (
    DELETE FROM {{ns}}.parked WHERE ctid = ANY (ARRAY{_expiring("parked")}) RETURNING {THIN}
), gone AS (
    SELECT *, 1 AS state FROM of_ready UNION ALL SELECT *, 0 FROM of_scheduled UNION ALL SELECT *, 7 FROM of_parked
), kept AS (
    INSERT INTO {{ns}}.done (n, due, expires, finished, fence, version, attempt, state, crashes, stop)
    SELECT n, due, expires, {{now}}, fence, version + 1, attempt, 6, crashes, false FROM gone
), freed AS (
    DELETE FROM {{ns}}.keys WHERE n = ANY (ARRAY(SELECT n FROM gone WHERE keyed))
), counted AS (
    INSERT INTO {{ns}}.counts (queue, state, jobs)
    SELECT queue, CASE state WHEN 7 THEN 1 ELSE state END, -count(*) FROM gone GROUP BY 1, 2 UNION ALL
    SELECT queue, 6, count(*) FROM gone GROUP BY queue
)
SELECT greatest(
    (SELECT count(*) FROM of_ready), (SELECT count(*) FROM of_scheduled), (SELECT count(*) FROM of_parked)
), (SELECT count(*) FROM gone)
""",
    "limit",
)

# The waiting jobs among given ones, taken from where they stand: n alone does not lead to a ready row.
# Indexes: ready_line, scheduled_pkey, parked_pkey.
GIVEN = ("numbers", "queues", "ranks", "dues")
_GIVEN = """given AS MATERIALIZED (
    SELECT * FROM unnest({numbers}::bigint[], {queues}::integer[], {ranks}::smallint[], {dues}::timestamptz[])
                  AS g(n, queue, rank, due)
)"""
_THIN_OF = ", ".join(f"t.{column}" for column in THIN.split(", "))
_TAKE = f"""{_GIVEN}, of_ready AS (
    DELETE FROM {{ns}}.ready t USING given g
    WHERE t.queue = g.queue AND t.rank = g.rank AND t.due = g.due AND t.n = g.n RETURNING {_THIN_OF}
), of_scheduled AS (
    DELETE FROM {{ns}}.scheduled t USING given g WHERE t.n = g.n RETURNING {_THIN_OF}
), of_parked AS (
    DELETE FROM {{ns}}.parked t USING given g WHERE t.n = g.n RETURNING {_THIN_OF}
), gone AS (
    SELECT *, 1 AS state FROM of_ready UNION ALL SELECT *, 0 FROM of_scheduled UNION ALL SELECT *, 1 FROM of_parked
)"""
_RECORDED = """recorded AS (
    INSERT INTO {ns}.operations (n, at, verb, actor) SELECT n, {now}, {verb}::text, {actor}::text FROM gone ORDER BY n
)"""
_LEFT = "SELECT queue, state, -count(*) FROM gone GROUP BY queue, state"

CANCEL = query(
    f"""
WITH {_TAKE}, {_RECORDED}, kept AS (
    INSERT INTO {{ns}}.done (n, due, expires, finished, fence, version, attempt, state, crashes, stop)
    SELECT n, due, expires, {{now}}, fence, version + 1, attempt, 5, crashes, false FROM gone
), freed AS (
    DELETE FROM {{ns}}.keys WHERE n = ANY (ARRAY(SELECT n FROM gone WHERE keyed))
), counted AS (
    INSERT INTO {{ns}}.counts (queue, state, jobs)
    {_LEFT} UNION ALL SELECT queue, 5, count(*) FROM gone GROUP BY queue
)
SELECT n FROM gone
""",
    *GIVEN,
    *("verb", "actor"),
)
# Index: claimed_pkey.
STOP = query(
    f"""
WITH gone AS (
    UPDATE {{ns}}.claimed SET stop = true, version = version + 1 WHERE n = ANY ({{numbers}}::bigint[]) RETURNING n
), {_RECORDED}
SELECT n FROM gone
""",
    *("numbers", "verb", "actor"),
)
RESCHEDULE = query(
    f"""
WITH {_TAKE}, {_RECORDED}, back AS (
    INSERT INTO {{ns}}.ready ({THIN})
    SELECT n, {{due}}::timestamptz, expires, task, queue, fence, version + 1, attempt, rank, crashes, keyed FROM gone
    WHERE {{due}}::timestamptz <= {{now}}
), later AS (
    INSERT INTO {{ns}}.scheduled ({THIN})
    SELECT n, {{due}}::timestamptz, expires, task, queue, fence, version + 1, attempt, rank, crashes, keyed FROM gone
    WHERE {{due}}::timestamptz > {{now}}
), counted AS (
    INSERT INTO {{ns}}.counts (queue, state, jobs)
    {_LEFT} UNION ALL SELECT queue, ({{due}}::timestamptz <= {{now}})::integer, count(*) FROM gone GROUP BY queue
)
SELECT n FROM gone
""",
    *GIVEN,
    *("verb", "actor", "due"),
)
# A job whose unique key is held by now stays as it is; of several with one key, the first enqueued gets it.
# Indexes: done_pkey, jobs_pkey, keys_pkey.
RETRY = query(
    f"""
WITH {_GIVEN}, ended AS MATERIALIZED (
    SELECT d.n FROM {{ns}}.done d WHERE d.n = ANY (ARRAY(SELECT n FROM given)) ORDER BY d.n FOR UPDATE
), held AS (
    INSERT INTO {{ns}}.keys (key, n)
    SELECT j.unique_key, j.n FROM {{ns}}.jobs j
    WHERE j.n = ANY (ARRAY(SELECT n FROM ended)) AND j.unique_key IS NOT NULL ORDER BY j.unique_key, j.n
    ON CONFLICT (key) DO NOTHING RETURNING n
), gone AS (
    DELETE FROM {{ns}}.done d USING {{ns}}.jobs j
    WHERE d.n = ANY (ARRAY(SELECT n FROM ended)) AND j.n = d.n
      AND (j.unique_key IS NULL OR d.n IN (SELECT n FROM held))
    RETURNING d.n, j.task, j.queue, d.fence, d.version, j.rank, j.unique_key IS NOT NULL AS keyed, d.state
), {_RECORDED}, back AS (
    INSERT INTO {{ns}}.ready ({THIN})
    SELECT n, {{now}}, NULL, task, queue, fence, version + 1, 0, rank, 0, keyed FROM gone
), counted AS (
    INSERT INTO {{ns}}.counts (queue, state, jobs)
    {_LEFT} UNION ALL SELECT queue, 1, count(*) FROM gone GROUP BY queue
)
SELECT n FROM gone
""",
    *GIVEN,
    *("verb", "actor"),
)


def _removal(taken: str) -> str:
    """Return the removal of the rows `gone` and `of_done`, with all that belongs to them."""
    return f"""
WITH {taken}, of_done AS (
    DELETE FROM {{ns}}.done d USING given g WHERE d.n = g.n RETURNING d.n, g.queue, d.state
), removed AS (
    SELECT n, queue, state FROM gone UNION ALL SELECT n, queue, state FROM of_done
), forgotten AS (
    DELETE FROM {{ns}}.jobs WHERE n = ANY (ARRAY(SELECT n FROM removed))
), unrecorded AS (
    DELETE FROM {{ns}}.attempts WHERE n = ANY (ARRAY(SELECT n FROM removed))
), undone AS (
    DELETE FROM {{ns}}.operations WHERE n = ANY (ARRAY(SELECT n FROM removed))
), freed AS (
    DELETE FROM {{ns}}.keys WHERE n = ANY (ARRAY(SELECT n FROM gone WHERE keyed))
), counted AS (
    INSERT INTO {{ns}}.counts (queue, state, jobs) SELECT queue, state, -count(*) FROM removed GROUP BY queue, state
)
SELECT n FROM removed
"""


# Indexes: as above, and those of the tables' own keys.
DELETE = query(_removal(_TAKE), *GIVEN)
"""Remove waiting and ended jobs."""

_NOTHING_WAITING = f"{_GIVEN}, gone AS (SELECT n, queue, 0 AS state, false AS keyed FROM given WHERE false)"
PRUNE = query(_removal(_NOTHING_WAITING), *GIVEN)
"""Remove ended jobs only: what an operator has retried meanwhile stays."""
