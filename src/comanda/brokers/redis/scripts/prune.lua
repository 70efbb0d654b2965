-- Look at 500 finished jobs in the order of their enqueue and remove those that are too old (R31); forget workers that
-- ended long ago.
--
-- Nothing behind the first job enqueued after both limits can have ended before them: the walk ends there.
-- ARGV: two limits (successful, others), the limit for workers, the n to begin behind.
-- Answers how many went, the n looked at last, and 1 at the end of the walk.
local successful_before, ended_before = tonumber(ARGV[1]), tonumber(ARGV[2])
local latest = math.max(successful_before, ended_before)

local function forget_workers(before)
    local all = call('HGETALL', ENDED_AT)
    for index = 1, #all, 2 do
        if tonumber(all[index + 1]) < before and call('SISMEMBER', DYING, all[index]) == 0 then
            for _, key in ipairs({ WORKERS, ENDED_AT, PREFIX .. 'beat_at' }) do
                call('HDEL', key, all[index])
            end
        end
    end
end

forget_workers(tonumber(ARGV[3]))
local removed, last = 0, ARGV[4]
local ids = call('ZRANGEBYSCORE', ENDED, '(' .. last, '+inf', 'LIMIT', 0, 500)
local is_over = #ids < 500
for _, job in ipairs(read(ids)) do
    if job.enqueued >= latest then
        is_over = true
        break
    end
    last = job.n
    if job.finished < (job.code == 'S' and successful_before or ended_before) then
        remove(job)
        removed = removed + 1
    end
end
write_counts()
return { removed, tonumber(last), is_over and 1 or 0 }
