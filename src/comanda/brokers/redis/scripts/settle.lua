-- The first half of an exchange: settle the last batch (guarantees 1 and 3, R8). The second half is claim.lua, in the
-- same script: both happen in one step.
--
-- An outcome counts only while its job is held by this owner under this fence. What an owner holds for the first time
-- is in held:… alone, by n and id: when as many as were sent are struck off there, the whole batch counts, and its
-- states, which come ready from the caller, are written as they are. That is done after the claim: a hash that runs
-- empty is shrunk, and grows again, entry by entry, with the next batch.
--
-- ARGV: 1 now, 2 owner, 3 to 7 see claim.lua, 8 the number of other outcomes, 9 that of groups of plain successes.
-- Then each other outcome: id, n, fence, kind, started, finished, delay, attempt, result. Then each group: queue, size,
-- all ids in one piece, fields of held:…, and id and new state by turns.
local now, owner = clock(ARGV[1]), tonumber(ARGV[2])
local others, groups = tonumber(ARGV[8]), tonumber(ARGV[9])
local HELD = held_by(owner)
local at, position = 10, 0
local refused = {}
local sub, byte = string.sub, string.byte

local SUCCESS, RETRY, FAILURE, CANCEL, RELEASE = 0, 1, 3, 4, 5

local function go_back(job, kind, delay)
    local stops = bit.band(job.flags, STOP) ~= 0
    local change = { owner = 0, started = 0, finished = stops and now or 0 }
    if kind ~= RETRY then
        change.attempt = job.attempt - 1
    end
    if kind ~= RELEASE or delay ~= 0 then
        change.due = now + delay
    end
    move(job, stops and 'C' or delay > 0 and 's' or 'r', change)
end

-- One outcome; return whether it counts.
local function settle_one(id, n, fence, kind, times, delay, attempt)
    local blob = call('HGET', JOBS, id)
    local job = blob and decode(id, blob, call('HGET', STATE, id))
    if not job or job.code ~= 'R' or job.owner ~= owner or job.n ~= n or job.fence ~= fence then
        return false
    end
    if attempt ~= '' then
        append(ATTEMPTS, id, attempt)
    end
    if kind == SUCCESS and job.task == '' then
        remove(job)
    elseif kind == SUCCESS or kind == FAILURE or kind == CANCEL then
        move(job, kind == SUCCESS and 'S' or kind == FAILURE and 'F' or 'C', times)
    else
        go_back(job, kind, delay)
    end
    return true
end

-- A success whose job may have a state: what it says has to be kept.
local function succeed_one(id, state)
    local _, _, fence, n, _, _, _, _, _, started, ended, after = struct.unpack(STATE_FORMAT, state)
    return settle_one(id, n, fence, SUCCESS, { started = started, finished = ended, result = sub(state, after) }, 0, '')
end

-- Successes of one queue that were struck off what the owner holds, but not all of them: whichever is nowhere now was.
local function sort_out(queue, size, first)
    for index = 1, size do
        local id, state = ARGV[first + 2 * index - 2], ARGV[first + 2 * index - 1]
        local blob = call('HGET', JOBS, id)
        local job = blob and decode(id, blob, call('HGET', STATE, id))
        if job and job.is_nowhere and job.n == struct.unpack('>I8', state, 10) then
            call('HSET', STATE, id, state)
            call('RPUSH', FINISHED, id)
            count(queue, 'R', -1)
            count(queue, 'S', 1)
        elseif not succeed_one(id, state) then
            refused[#refused + 1] = position + index
        end
    end
end

-- Successes of one queue, of jobs that have no unique key and are kept.
local function succeed()
    local queue, size, ids = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2]
    local first = at + 3 + size
    if call('HDEL', HELD, unpack(ARGV, at + 3, first - 1)) == size then
        call('HSET', STATE, unpack(ARGV, first, first + 2 * size - 1))
        call('RPUSH', FINISHED, ids)
        count(queue, 'R', -size)
        count(queue, 'S', size)
    else
        sort_out(queue, size, first)
    end
    at, position = first + 2 * size, position + size
end

local function settle_others()
    for index = 1, others do
        local times = { started = tonumber(ARGV[at + 4]), finished = tonumber(ARGV[at + 5]), result = ARGV[at + 8] }
        if not settle_one(ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), times,
            tonumber(ARGV[at + 6]), ARGV[at + 7]) then
            refused[#refused + 1] = index
        end
        at = at + 9
    end
    position = others
end

local function settle_successes()
    for _ = 1, groups do
        succeed()
    end
    if groups + others > 0 then
        ring('change')
    end
end

settle_others()
