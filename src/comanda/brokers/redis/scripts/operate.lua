-- What an operator does to jobs: cancel, retry, reschedule or delete. It is recorded, unless the job is gone.
--
-- The states are checked here, in the step that changes them; what else was asked for never changes.
-- ARGV: now, the verb, the states (msgpack set), due time, the operation (msgpack), at most 500 ids.
-- Answers with the ids that were changed, in the order of their enqueue.
local now, verb, codes, due = clock(ARGV[1]), ARGV[2], cmsgpack.unpack(ARGV[3]), math.max(1, tonumber(ARGV[4]))
local verbs = {}

function verbs.cancel(job)
    if job.code ~= 'R' then
        move(job, 'C', { finished = now })
        return true
    end
    call('HDEL', held_by(job.owner), field_of(job))
    job.flags, job.version, job.stateful = bit.bor(job.flags, STOP), job.version + 1, true
    call('HSET', STATE, job.id, encode(job))
    call('HSET', held_by(job.owner), field_of(job), '')
    call('SADD', STOPPING, job.id)
    return true
end

function verbs.retry(job)
    if job.key and call('HSETNX', UNIQUE, job.key, job.id) == 0 then
        return false -- a younger job holds the key by now
    end
    move(job, 'r', { due = now, attempt = 0, crashes = 0, owner = 0, started = 0, finished = 0, result = '',
        flags = TIMELESS, expires = false })
    return true
end

function verbs.reschedule(job)
    move(job, due > now and 's' or 'r', { due = due })
    return true
end

function verbs.delete(job)
    remove(job)
    return true
end

local jobs = {}
for _, job in ipairs(read({ unpack(ARGV, 6) })) do
    if codes[job.code] then
        jobs[#jobs + 1] = job
    end
end
table.sort(jobs, function(one, other) return one.n < other.n end)
local done = {}
local operation = '\147' .. cmsgpack.pack(verb, now) .. ARGV[5]
for _, job in ipairs(jobs) do
    if verbs[verb](job) then
        done[#done + 1] = job.id
        if verb ~= 'delete' then
            append(OPERATIONS, job.id, operation)
        end
    end
end
write_counts()
if #done > 0 then
    ring('work')
    ring('change')
end
return done
