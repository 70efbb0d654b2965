-- Store jobs of another store as they are, all in one step; answer with 1 for each that is new here, else 0. Where a
-- queue holds the other kind nothing is stored, and the answer is its name and what it holds (j or m).
--
-- ARGV: for each job its id, the flags of its n, its encoded part behind the n, what of its state does not depend on
-- this store (msgpack: code, attempt, crashes, flags, due, started, finished), its result, its attempts and its
-- operations.
local answers = {}
local UNKNOWN = struct.pack(STATE_FORMAT, 'r', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)

local function is_taken(job)
    return call('HEXISTS', JOBS, job.id) == 1
        or job.key and not TERMINAL[job.code] and call('HEXISTS', UNIQUE, job.key) == 1
end

-- The first queue that would hold jobs and messages, and what it holds.
local function find_clash(jobs)
    local kinds = {}
    for _, job in ipairs(jobs) do
        local kind, queue = job.task == '' and 'm' or 'j', job.queue
        kinds[queue] = kinds[queue] or string.sub(call('HGET', QUEUE, queue) or kind, 1, 1)
        if kinds[queue] ~= kind then
            return { queue, kinds[queue] }
        end
    end
end

local function store(job, flags, rest, attempts, operations)
    job.n = call('HINCRBY', KEYS[1], 'n', 1) * 8 + flags
    if bit.band(job.flags, TIMELESS) ~= 0 then
        job.expires = nil
    end
    if job.key and not TERMINAL[job.code] then
        call('HSET', UNIQUE, job.key, job.id)
    end
    call('HSET', JOBS, job.id, '\154' .. cmsgpack.pack(job.n) .. rest)
    call('HSET', STATE, job.id, encode(job))
    call('ZADD', IDS, 0, job.id)
    call('SADD', PREFIX .. 'tasks:' .. job.queue, job.task)
    job.stateful = true
    enter(job)
    for key, entries in pairs({ [ATTEMPTS] = attempts, [OPERATIONS] = operations }) do
        if entries ~= '' then
            call('HSET', key, job.id, entries)
        end
    end
end

local jobs = {}
for at = 1, #ARGV, 7 do
    local job = decode(ARGV[at], '\154\0' .. ARGV[at + 2], UNKNOWN)
    job.code, job.attempt, job.crashes, job.flags, job.due, job.started, job.finished =
        unpack(cmsgpack.unpack(ARGV[at + 3]), 1, 7)
    job.result = ARGV[at + 4]
    jobs[#jobs + 1] = job
end
local clash = find_clash(jobs)
if clash then
    return clash
end
for index, job in ipairs(jobs) do
    local at = 7 * index - 6
    admits(job.queue, job.task)
    if is_taken(job) then
        answers[index] = 0
    else
        store(job, tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 5], ARGV[at + 6])
        answers[index] = 1
    end
end
write_counts()
ring('work')
ring('change')
return answers
