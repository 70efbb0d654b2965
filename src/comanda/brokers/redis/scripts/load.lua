-- Store jobs of another store as they are, all in one step; answer with 1 for each that is new here, else 0. When the
-- queue of one holds the other kind none is stored, and the answer is the place of the first such job.
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

local function store(job, flags, rest, attempts, operations)
    admits(job.queue, job.task)
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

local jobs, kinds = {}, {}
for at = 1, #ARGV, 7 do
    local job = decode(ARGV[at], '\154\0' .. ARGV[at + 2], UNKNOWN)
    local kind = job.task == '' and 'm' or 'j'
    local held = kinds[job.queue] or string.sub(call('HGET', QUEUE, job.queue) or kind, 1, 1)
    if held ~= kind then
        return (at + 6) / 7
    end
    kinds[job.queue] = held
    jobs[at] = job
end
for at = 1, #ARGV, 7 do
    local job, rest = jobs[at], ARGV[at + 2]
    job.code, job.attempt, job.crashes, job.flags, job.due, job.started, job.finished =
        unpack(cmsgpack.unpack(ARGV[at + 3]), 1, 7)
    job.result = ARGV[at + 4]
    if is_taken(job) then
        answers[#answers + 1] = 0
    else
        store(job, tonumber(ARGV[at + 1]), rest, ARGV[at + 5], ARGV[at + 6])
        answers[#answers + 1] = 1
    end
end
write_counts()
ring('work')
ring('change')
return answers
