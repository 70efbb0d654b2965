-- What every script begins with: the keys, the two parts of a job, and the indexes it stands in.
--
-- KEYS[1] is {namespace}:meta. It routes the call in a cluster; every other key carries the same hash tag, so that all
-- lie in one slot. No script walks over more than its caller's step of jobs.
--
-- jobs      hash   id -> what never changes: n, enqueued, due (0: the same), priority, expires, key, task, queue,
--                  options, payload; a msgpack array, of which Lua reads the first eight and never the payload
-- state     hash   id -> what changes, 52 bytes and the result. A job has none until something out of the ordinary has
--                  happened to it or it has ended: it stands in its line, is scheduled, or is held for the first time
-- ready:…   zset   one line for each queue and task: rank, due, n, id as bytes, in the order of claims
-- held:…    hash   what an owner holds: n and id -> claim time; of a job that has a state, id -> ''
-- scheduled zset   id by due time                       parked:…  set   ids of ready jobs of a task nobody knows
-- ids       zset   all ids, in their order              bad       zset  ids that failed, were cancelled or expired
-- ended     zset   finished ids by n, but for the latest in the list `finished` (see prune.lua)
-- expiring  zset   waiting ids by expiry                stopping  set   held ids that were asked to stop
-- unique    hash   key -> id of the unfinished job      counts    hash  state and queue -> jobs
-- queues    zset   names by age                         queue     hash  name -> j or m (messages), 0 or 1 (paused)
-- tasks:…   set    task names a queue has seen          living    hash  owner -> beat
-- dying     set    dead owners that may still hold jobs workers, beat_at, ended_at  hash  owner -> what is shown
-- attempts, operations  hash  id -> msgpack arrays, each behind its length (4 bytes)
local PREFIX = string.sub(KEYS[1], 1, -5)
local call = redis.call
local JOBS, STATE, IDS, SCHEDULED = PREFIX .. 'jobs', PREFIX .. 'state', PREFIX .. 'ids', PREFIX .. 'scheduled'
local ENDED, BAD, EXPIRING, UNIQUE = PREFIX .. 'ended', PREFIX .. 'bad', PREFIX .. 'expiring', PREFIX .. 'unique'
local STOPPING, COUNTS, QUEUES, QUEUE = PREFIX .. 'stopping', PREFIX .. 'counts', PREFIX .. 'queues', PREFIX .. 'queue'
local ATTEMPTS, OPERATIONS, LIVING = PREFIX .. 'attempts', PREFIX .. 'operations', PREFIX .. 'living'
local WORKERS, ENDED_AT, DYING = PREFIX .. 'workers', PREFIX .. 'ended_at', PREFIX .. 'dying'
local FINISHED = PREFIX .. 'finished'

-- code, owner, fence, n, attempt, crashes, version, flags, due (0: as at first), started, finished (0: never); Python's
-- records.py has the same. Numbers are exact up to 2^53, which is the year 2255 in microseconds.
local STATE_FORMAT = '>c1I4I4I8I4I2I4Bi8i8i8'
local STOP, TIMELESS = 1, 2 -- flags: asked to stop; its expiry counts no longer
-- The lowest bits of n; the first stands in lines only.
local STATEFUL, HAS_KEY, HAS_EXPIRY = 1, 2, 4
local TERMINAL = { S = true, F = true, C = true, E = true }
local SHOWN = { P = 'r' } -- a parked job is counted as ready
local AT_ONCE = 4000 -- arguments of one call: Lua's stack holds 8,000

local function clock(given)
    if given ~= '' then
        return tonumber(given)
    end
    local time = call('TIME')
    return time[1] * 1000000 + time[2]
end

-- Run a command on a key with any number of arguments, `AT_ONCE` at a time (an even number: pairs stay together).
local function many(command, key, arguments)
    local changed = 0
    for first = 1, #arguments, AT_ONCE do
        local last = math.min(first + AT_ONCE - 1, #arguments)
        changed = changed + call(command, key, unpack(arguments, first, last))
    end
    return changed
end

local function line_of(queue, task)
    return PREFIX .. 'ready:' .. #queue .. ':' .. queue .. ':' .. task
end

local function member_of(job)
    return struct.pack('>BI7I6', 128 - job.priority, job.due, job.n + (job.stateful and STATEFUL or 0))
        .. job.id
end

local function encode(job)
    return struct.pack(STATE_FORMAT, job.code, job.owner, job.fence, job.n, job.attempt, job.crashes, job.version,
        job.flags, job.due, job.started, job.finished) .. (job.result or '')
end

local function held_by(owner)
    return PREFIX .. 'held:' .. owner
end

-- What an owner's hash calls a job it holds.
local function field_of(job)
    return job.stateful and job.id or struct.pack('>I6', job.n) .. job.id
end

-- Find a job that has no state: in its line, or with an owner that holds it for the first time. It is nowhere while its
-- first outcome is being written.
local function locate(job)
    if job.due > job.enqueued then
        job.code = 's'
        return
    end
    job.code = 'r'
    if call('ZSCORE', line_of(job.queue, job.task), member_of(job)) then
        return
    end
    for _, owners in ipairs({ call('HKEYS', LIVING), call('SMEMBERS', DYING) }) do
        for _, owner in ipairs(owners) do
            local since = call('HGET', held_by(owner), field_of(job))
            if since then
                job.code, job.owner, job.fence, job.attempt, job.version = 'R', tonumber(owner), 1, 1, 1
                job.started = struct.unpack('>I8', since)
                return
            end
        end
    end
    job.is_nowhere = true
end

-- The state of a job that has none, for who reads it: '' while it waits.
local function shown_state(job)
    return job.code == 'R' and encode(job) or ''
end

-- What a job is, from its two parts.
local function decode(id, blob, state)
    local job = { id = id, owner = 0, fence = 0, attempt = 0, crashes = 0, version = 0, flags = 0, started = 0,
        finished = 0 }
    local _, due, after
    _, job.n, job.enqueued, job.due, job.priority, job.expires, job.key, job.task, job.queue =
        cmsgpack.unpack_limit(blob, 8, 1)
    job.due = job.due ~= 0 and job.due or job.enqueued
    if not state then
        locate(job)
        return job
    end
    job.stateful = true
    job.code, job.owner, job.fence, _, job.attempt, job.crashes, job.version, job.flags, due, job.started,
        job.finished, after = struct.unpack(STATE_FORMAT, state)
    job.due = due ~= 0 and due or job.due
    job.result = string.sub(state, after)
    if bit.band(job.flags, TIMELESS) ~= 0 then
        job.expires = nil
    end
    return job
end

-- The jobs that exist among at most AT_ONCE ids, in their order.
local function read(ids)
    local jobs = {}
    if #ids > 0 then
        local blobs, states = call('HMGET', JOBS, unpack(ids)), call('HMGET', STATE, unpack(ids))
        for index, id in ipairs(ids) do
            if blobs[index] then
                jobs[#jobs + 1] = decode(id, blobs[index], states[index])
            end
        end
    end
    return jobs
end

local counted = {}

local function count(queue, code, jobs)
    local field = (SHOWN[code] or code) .. queue
    counted[field] = (counted[field] or 0) + jobs
end

local function write_counts()
    for field, jobs in pairs(counted) do
        if jobs ~= 0 and call('HINCRBY', COUNTS, field, jobs) == 0 then
            call('HDEL', COUNTS, field)
        end
    end
end

-- Take a job out of the index its state put it in.
local function leave(job)
    local code = job.code
    if code == 'r' then
        call('ZREM', line_of(job.queue, job.task), member_of(job))
    elseif code == 's' then
        call('ZREM', SCHEDULED, job.id)
    elseif code == 'P' then
        call('SREM', PREFIX .. 'parked:' .. job.task, job.id)
    elseif code == 'R' then
        call('HDEL', held_by(job.owner), field_of(job))
        call('SREM', STOPPING, job.id)
    else
        call('ZREM', ENDED, job.id)
        call('ZREM', BAD, job.id)
    end
    if job.expires then
        call('ZREM', EXPIRING, job.id)
    end
    count(job.queue, code, -1)
end

-- Put a job into the index its state asks for.
local function enter(job)
    local code = job.code
    if code == 'r' then
        call('ZADD', line_of(job.queue, job.task), 0, member_of(job))
        call('SADD', PREFIX .. 'tasks:' .. job.queue, job.task)
    elseif code == 's' then
        call('ZADD', SCHEDULED, job.due, job.id)
    elseif code == 'P' then
        call('SADD', PREFIX .. 'parked:' .. job.task, job.id)
    elseif TERMINAL[code] then
        call('ZADD', ENDED, job.n, job.id)
        if code ~= 'S' then
            call('ZADD', BAD, 0, job.id)
        end
        if job.key and call('HGET', UNIQUE, job.key) == job.id then
            call('HDEL', UNIQUE, job.key)
        end
    end
    if job.expires and not TERMINAL[code] then
        call('ZADD', EXPIRING, job.expires, job.id)
    end
    count(job.queue, code, 1)
end

-- Bring a job, changed by `change`, into a state; its version rises.
local function move(job, code, change)
    leave(job)
    job.code, job.stateful = code, true
    for name, value in pairs(change or {}) do
        job[name] = value
    end
    job.version = job.version + 1
    enter(job)
    call('HSET', STATE, job.id, encode(job))
end

-- Remove a job with all that belongs to it.
local function remove(job)
    leave(job)
    for _, key in ipairs({ JOBS, STATE, ATTEMPTS, OPERATIONS }) do
        call('HDEL', key, job.id)
    end
    call('ZREM', IDS, job.id)
    if job.key and call('HGET', UNIQUE, job.key) == job.id then
        call('HDEL', UNIQUE, job.key)
    end
end

-- Write an entry, behind its length, to the end of a job's attempts or operations.
local function append(key, id, entry)
    call('HSET', key, id, (call('HGET', key, id) or '') .. struct.pack('>I4', #entry) .. entry)
end

-- Make sure that a queue exists; say whether it takes jobs of this task.
local function admits(queue, task)
    local kind = task == '' and 'm' or 'j'
    local found = call('HGET', QUEUE, queue)
    if not found then
        call('HSET', QUEUE, queue, kind .. '0')
        call('ZADD', QUEUES, call('ZCARD', QUEUES), queue)
        return true
    end
    return string.sub(found, 1, 1) == kind
end

local function ring(topic)
    call('PUBLISH', PREFIX .. topic, '')
end
