-- End an owner and hand back at most 500 of its jobs: those that had started are charged one crash (R51), what was
-- asked to stop is cancelled.
--
-- An owner is dead with the first step; it stays in `dying` until the last one, so that a rescuer goes on where
-- somebody was interrupted.
--
-- ARGV: now, owner, the beat at which it fell silent ('': bury it in any case), crash limit, the numbers of started
-- jobs (msgpack; nil: nobody knows, all are charged), and for each number of crashes up to the limit the failure (msgpack).
-- Answers how many jobs went back, -1 when it is alive; and how many are left.
local now, owner = clock(ARGV[1]), ARGV[2]
local HELD = held_by(owner)
local beat = call('HGET', LIVING, owner)
if ARGV[3] ~= '' and beat ~= ARGV[3] then
    return { -1, 0 }
end
if beat then
    call('HDEL', LIVING, owner)
    call('HSET', ENDED_AT, owner, now)
    call('SADD', DYING, owner)
end
local limit = tonumber(ARGV[4])
local started = cmsgpack.unpack(ARGV[5])
local suspects = {}
for _, n in ipairs(started or {}) do
    suspects[n] = true
end

local function charge(job)
    local crashes = job.crashes + 1
    append(ATTEMPTS, job.id, '\150' .. cmsgpack.pack(job.attempt, 'lost', job.started, now, job.owner)
        .. ARGV[5 + math.min(crashes, limit)])
    local after = bit.band(job.flags, STOP) ~= 0 and 'C' or crashes >= limit and 'F' or 'r'
    local ended = after ~= 'r'
    local started_at, finished_at = ended and job.started or 0, ended and now or 0
    move(job, after, { crashes = crashes, owner = 0, started = started_at, finished = finished_at })
end

local function hand_back(job)
    local stops = bit.band(job.flags, STOP) ~= 0
    local finished_at = stops and now or 0
    move(job, stops and 'C' or 'r', { attempt = job.attempt - 1, owner = 0, started = 0, finished = finished_at })
end

local fields, ids = {}, {}
for _, field in ipairs(call('HRANDFIELD', HELD, 501)) do
    if field ~= '' then -- see register.lua
        fields[#fields + 1] = field
        ids[#ids + 1] = string.sub(field, -16)
    end
end
local jobs = read(ids)
for _, job in ipairs(jobs) do
    if not started or suspects[job.n] then
        charge(job)
    else
        hand_back(job)
    end
end
write_counts()
if #fields > 0 then
    call('HDEL', HELD, unpack(fields))
end
local left = math.max(0, call('HLEN', HELD) - 1)
if left == 0 then
    call('DEL', HELD)
    call('SREM', DYING, owner)
end
ring('work')
ring('change')
return { #jobs, left }
