-- The tables of the first schema. {ns} is the quoted name of the PostgreSQL schema, which is the namespace.
--
-- A job's payload is written once, into jobs. What changes lives in thin rows beside it: a job stands in exactly one of
-- ready, scheduled, parked (waiting), claimed (running) and done (ended), and moves by DELETE and INSERT. Keeping the
-- history this way costs less log than updating or deleting wide rows (452 bytes a job against 735 to 2,193).
--
-- No foreign keys, no triggers, and only the indexes that a statement needs: each costs 64 to 90 bytes of log a job.
-- ready has none by n: a row that was never changed (version 0) is found by its job's queue, rank and due time, any
-- other by the partial index. claimed is logged: after a crash of the server the healthy jobs are not ready again.
-- Nothing takes a vacuum's lock on a whole table (vacuum_truncate), which workers would have to wait for.

CREATE SEQUENCE {ns}.job_numbers AS bigint;

-- Wake-ups counted, for those who cannot LISTEN.
CREATE SEQUENCE {ns}.rings_work AS bigint;
CREATE SEQUENCE {ns}.rings_change AS bigint;

CREATE TABLE {ns}.meta (key text PRIMARY KEY, value integer NOT NULL);

CREATE TABLE {ns}.tasks (n integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE);

-- shown: somebody has enqueued into it; a queue that only a caller's own transaction named is shown once that commits.
CREATE TABLE {ns}.queues (
    n integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    messages boolean NOT NULL,
    paused boolean NOT NULL DEFAULT false,
    shown boolean NOT NULL
);

CREATE TABLE {ns}.workers (
    n integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pid integer NOT NULL,
    beat bigint NOT NULL DEFAULT 0,
    started timestamptz NOT NULL,
    beat_at timestamptz NOT NULL,
    ended timestamptz,
    host text NOT NULL,
    version text NOT NULL,
    kind text NOT NULL,
    tasks integer[] NOT NULL,
    queues text[]
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 100);
CREATE INDEX workers_living ON {ns}.workers (n) WHERE ended IS NULL;

-- due and expires are those of the enqueue; the thin row has the current ones. due is NULL for a job that was due when
-- it was enqueued.
CREATE TABLE {ns}.jobs (
    n bigint PRIMARY KEY,
    enqueued timestamptz NOT NULL,
    due timestamptz,
    expires timestamptz,
    task integer NOT NULL,
    queue integer NOT NULL,
    id uuid NOT NULL UNIQUE,
    rank smallint NOT NULL,
    unique_key text,
    options bytea,
    payload bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- Who holds a unique key: the unfinished job with it.
CREATE TABLE {ns}.keys (key text PRIMARY KEY, n bigint NOT NULL)
    WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX keys_of ON {ns}.keys (n);

-- The index line is the claim's order and ends in the task, so that "tasks I know" is answered inside it.
CREATE TABLE {ns}.ready (
    n bigint NOT NULL,
    due timestamptz NOT NULL,
    expires timestamptz,
    task integer NOT NULL,
    queue integer NOT NULL,
    fence integer NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 0,
    attempt integer NOT NULL DEFAULT 0,
    rank smallint NOT NULL,
    crashes smallint NOT NULL DEFAULT 0,
    keyed boolean NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
        vacuum_truncate = off);
CREATE INDEX ready_line ON {ns}.ready (queue, rank, due, n, task);
CREATE INDEX ready_changed ON {ns}.ready (n) WHERE version > 0;
CREATE INDEX ready_expiring ON {ns}.ready (expires) WHERE expires IS NOT NULL;

CREATE TABLE {ns}.scheduled (LIKE {ns}.ready INCLUDING DEFAULTS, PRIMARY KEY (n))
    WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, vacuum_truncate = off);
CREATE INDEX scheduled_due ON {ns}.scheduled (due, n);
CREATE INDEX scheduled_expiring ON {ns}.scheduled (expires) WHERE expires IS NOT NULL;

CREATE TABLE {ns}.parked (LIKE {ns}.ready INCLUDING DEFAULTS, PRIMARY KEY (n)) WITH (vacuum_truncate = off);
CREATE INDEX parked_task ON {ns}.parked (task, n);
CREATE INDEX parked_expiring ON {ns}.parked (expires) WHERE expires IS NOT NULL;

CREATE TABLE {ns}.claimed (
    n bigint PRIMARY KEY,
    due timestamptz NOT NULL,
    expires timestamptz,
    started timestamptz NOT NULL,
    owner integer NOT NULL,
    task integer NOT NULL,
    queue integer NOT NULL,
    fence integer NOT NULL,
    version integer NOT NULL,
    attempt integer NOT NULL,
    rank smallint NOT NULL,
    crashes smallint NOT NULL,
    keyed boolean NOT NULL,
    stop boolean NOT NULL DEFAULT false
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
        vacuum_truncate = off);
CREATE INDEX claimed_stop ON {ns}.claimed (owner) WHERE stop;

-- due is NULL where it is that of the enqueue, stop where nobody asked for it: what is not written is not logged.
CREATE TABLE {ns}.done (
    n bigint PRIMARY KEY,
    due timestamptz,
    expires timestamptz,
    started timestamptz,
    finished timestamptz NOT NULL,
    owner integer,
    fence integer NOT NULL,
    version integer NOT NULL,
    attempt integer NOT NULL,
    state smallint NOT NULL,
    crashes smallint NOT NULL,
    stop boolean,
    result bytea
) WITH (autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX done_badly ON {ns}.done (n) WHERE state <> 3;

-- One row for each attempt that did not end in success at the first try. Those of jobs that came from another store
-- have fences of 0 and below.
CREATE TABLE {ns}.attempts (
    n bigint NOT NULL,
    fence integer NOT NULL,
    number integer NOT NULL,
    owner integer NOT NULL,
    started timestamptz NOT NULL,
    finished timestamptz,
    outcome text NOT NULL,
    failure bytea,
    PRIMARY KEY (n, fence)
);

CREATE TABLE {ns}.operations (
    n bigint NOT NULL,
    place bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    verb text NOT NULL,
    actor text NOT NULL,
    PRIMARY KEY (n, place)
);

-- Jobs by queue and state, as changes: each transaction adds rows and updates none, so that nobody waits for anybody.
-- The sums are drawn together by counts.py; a row stays for each pair there ever was.
CREATE TABLE {ns}.counts (queue integer NOT NULL, state smallint NOT NULL, jobs bigint NOT NULL)
    WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, vacuum_truncate = off);

-- store: tells this store from others for whoever needs a name for it on a host.
INSERT INTO {ns}.meta VALUES ('schema', 1), ('oldest_client', 1), ('store', floor(random() * 2147483647));
