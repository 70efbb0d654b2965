-- Find jobs that match a filter, by id: one step over at most 500 ids.
--
-- ARGV: source (ids or bad; '': the ids that follow), the bound to begin behind or at and the one to end at (as
-- ZRANGEBYLEX takes them), 1 for newest first, the number wanted, 1 for whole jobs, the filter (msgpack: codes, tasks
-- and queues as sets or nil, since or nil), ids.
-- Answers with the id looked at last ('' at the end), and of each matching job its id, or id, blob, state and attempts.
local ids
if ARGV[1] == '' then
    ids = { unpack(ARGV, 8) }
elseif ARGV[4] == '1' then
    ids = call('ZREVRANGEBYLEX', PREFIX .. ARGV[1], ARGV[3], ARGV[2], 'LIMIT', 0, 500)
else
    ids = call('ZRANGEBYLEX', PREFIX .. ARGV[1], ARGV[2], ARGV[3], 'LIMIT', 0, 500)
end
local wanted, whole = tonumber(ARGV[5]), ARGV[6] == '1'
local codes, tasks, queues, since = unpack(cmsgpack.unpack(ARGV[7]), 1, 4)
local answer, found, last = {}, 0, ''
if #ids == 0 then
    return { last, answer }
end
local blobs, states = call('HMGET', JOBS, unpack(ids)), call('HMGET', STATE, unpack(ids))
for index, id in ipairs(ids) do
    if found == wanted then
        break
    end
    last = id
    local job = blobs[index] and decode(id, blobs[index], states[index])
    if job and (not codes or codes[job.code]) and (not tasks or tasks[job.task])
        and (not queues or queues[job.queue]) and (not since or job.enqueued >= since) then
        found = found + 1
        answer[#answer + 1] = id
        if whole then
            answer[#answer + 1] = blobs[index]
            answer[#answer + 1] = states[index] or shown_state(job)
            answer[#answer + 1] = call('HGET', ATTEMPTS, id) or ''
        end
    end
end
return { last, answer }
