-- Settle the last batch and claim the next, in one step (guarantees 1 to 3, R1, R8).
--
-- An outcome counts only while its job is held by this owner under this fence. What an owner holds for the first time is
-- in held:… alone, by n and id: when as many as were sent are struck off there, the whole batch counts, and its states,
-- which come ready from the caller, are written as they are. A claim takes jobs from the heads of the lines (ready:…) of the demanded tasks and writes down who holds them;
-- nothing leaves the store.
--
-- ARGV: now, owner, turn, limit, strict (0 or 1), demand (msgpack: messages or not, tasks as a set, queues or nil), 1
-- to make due jobs ready before (once for an exchange in several parts), the number of groups of plain successes, the number of other outcomes; each group: queue, size, all
-- ids in one piece, fields of held:…, and id and new state by turns; each other outcome: id, n, fence, kind, started,
-- finished, delay, attempt, result.
-- Answers with the turn, the positions of refused outcomes, ids and blobs of claimed jobs, and the states of those that
-- have one ('' for the others; nothing at all when there are none).
local now, owner = clock(ARGV[1]), tonumber(ARGV[2])
local turn, limit, strict = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local groups, others = tonumber(ARGV[8]), tonumber(ARGV[9])
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

local function settle()
    for _ = 1, groups do
        succeed()
    end
    for index = 1, others do
        local times = { started = tonumber(ARGV[at + 4]), finished = tonumber(ARGV[at + 5]), result = ARGV[at + 8] }
        if not settle_one(ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), times,
            tonumber(ARGV[at + 6]), ARGV[at + 7]) then
            refused[#refused + 1] = position + index
        end
        at = at + 9
    end
    if groups + others > 0 then
        ring('change')
    end
end

settle()
local claimed, blobs, before = {}, {}, {}

local function promote()
    local due = call('ZRANGEBYSCORE', SCHEDULED, '-inf', now, 'LIMIT', 0, 500)
    for _, job in ipairs(read(due)) do
        move(job, 'r')
    end
end

local function key_of(member)
    return { byte(member, 1), struct.unpack('>I7I6', member, 2) }
end

local function is_before(one, other)
    for part = 1, 3 do
        if one[part] ~= other[part] then
            return one[part] < other[part]
        end
    end
    return false
end

-- The first members of several lines in one order, gathered a chunk of each at a time.
local function merge(lines, wanted)
    local chunk = math.ceil(wanted / #lines) + 8
    local heads, taken = {}, {}
    local function load_more(head)
        head.chunk, head.next = call('ZRANGE', head.line, head.taken, head.taken + chunk - 1), 1
        head.key = head.chunk[1] and key_of(head.chunk[1])
    end
    for index, line in ipairs(lines) do
        heads[index] = { line = line, taken = 0 }
        load_more(heads[index])
    end
    while #taken < wanted do
        local first
        for _, head in ipairs(heads) do
            if head.key and (not first or is_before(head.key, first.key)) then
                first = head
            end
        end
        if not first then
            break
        end
        taken[#taken + 1] = first.chunk[first.next]
        first.taken, first.next = first.taken + 1, first.next + 1
        if first.chunk[first.next] then
            first.key = key_of(first.chunk[first.next])
        else
            load_more(first)
        end
    end
    for _, head in ipairs(heads) do
        if head.taken > 0 then
            call('ZREMRANGEBYRANK', head.line, 0, head.taken - 1)
        end
    end
    return taken
end

-- Take the first members out of a queue's lines of the demanded tasks.
local function pull(queue, tasks, wanted)
    local lines = {}
    for _, task in ipairs(call('SMEMBERS', PREFIX .. 'tasks:' .. queue)) do
        if tasks[task] then
            local line = line_of(queue, task)
            if call('EXISTS', line) == 1 then
                lines[#lines + 1] = line
            end
        end
    end
    if #lines > 1 then
        return merge(lines, wanted)
    elseif #lines == 0 then
        return {}
    end
    local taken = call('ZRANGE', lines[1], 0, wanted - 1)
    call('ZREMRANGEBYRANK', lines[1], 0, #taken - 1)
    return taken
end

-- End those of the pulled jobs whose expiry has passed; return the others.
local function without_overdue(pulled)
    if #pulled == 0 or call('EXISTS', EXPIRING) == 0 then
        return pulled
    end
    local ids, kept, overdue, left = {}, {}, {}, {}
    for index, member in ipairs(pulled) do
        ids[index] = sub(member, 15)
    end
    for index, expires in ipairs(call('ZMSCORE', EXPIRING, unpack(ids))) do
        if expires and tonumber(expires) <= now then
            overdue[#overdue + 1] = ids[index]
        else
            kept[#kept + 1] = pulled[index]
            left[#left + 1] = expires and ids[index] or nil
        end
    end
    if #left > 0 then
        call('ZREM', EXPIRING, unpack(left))
    end
    for _, job in ipairs(read(overdue)) do
        move(job, 'E', { finished = now })
    end
    return kept, #overdue
end

local SINCE = struct.pack('>I8', now)

-- Write down that the owner holds a job that has a state; return the new one.
local function hold_again(id, blob, old)
    local job = decode(id, blob, old)
    job.code, job.owner, job.started, job.finished, job.result = 'R', owner, now, 0, nil
    job.fence, job.attempt, job.version = job.fence + 1, job.attempt + 1, job.version + 1
    job.flags = bit.band(job.flags, TIMELESS)
    local state = encode(job)
    call('HSET', STATE, id, state)
    return state
end

-- Write down that the owner holds these jobs.
local function hold(queue, pulled)
    local size = #pulled
    if size == 0 then
        return
    end
    local ids, writes, again, first = {}, {}, {}, #claimed
    for index = 1, size do
        local member = pulled[index]
        local id = sub(member, 15)
        ids[index], claimed[first + index] = id, id
        if byte(member, 14) % 2 == STATEFUL then
            again[#again + 1] = index
            writes[2 * index - 1], writes[2 * index] = id, ''
        else
            writes[2 * index - 1], writes[2 * index] = sub(member, 9), SINCE
        end
    end
    local found = call('HMGET', JOBS, unpack(ids))
    for index = 1, size do
        blobs[first + index] = found[index]
    end
    many('HSET', HELD, writes)
    for _, index in ipairs(again) do
        before[first + index] = hold_again(ids[index], found[index], call('HGET', STATE, ids[index]))
    end
    count(queue, 'r', -size)
    count(queue, 'R', size)
end

-- Take up to `wanted` jobs of one queue; return how many.
local function take(queue, tasks, wanted)
    local taken, expired = 0, 0
    while taken < wanted and expired <= 500 do
        local kept, overdue = without_overdue(pull(queue, tasks, wanted - taken))
        hold(queue, kept)
        taken = taken + #kept
        if not overdue or overdue == 0 then
            break
        end
        expired = expired + overdue
    end
    return taken
end

-- The queues that may hand out what is asked for, in the order in which the demand names them.
local function open_queues(messages, names)
    names = names or call('ZRANGE', QUEUES, 0, -1)
    local open = {}
    for _, name in ipairs(names) do
        if call('HGET', QUEUE, name) == (messages and 'm0' or 'j0') then
            open[#open + 1] = name
        end
    end
    return open
end

-- Offer each queue its share until the limit is reached; return how many were taken, and the queues that gave all.
local function offer(queues, tasks, most, share)
    local taken, fuller = 0, {}
    for _, queue in ipairs(queues) do
        local wanted = math.min(share, most - taken)
        if wanted <= 0 then
            break
        end
        local got = take(queue, tasks, wanted)
        taken = taken + got
        if got == wanted then
            fuller[#fuller + 1] = queue
        end
    end
    return taken, fuller
end

-- The turns of rotation.py: another queue comes first each time, and what some leave is offered to the others.
local function claim()
    local messages, tasks, names = unpack(cmsgpack.unpack(ARGV[6]), 1, 3)
    local queues = open_queues(messages, names)
    if strict or #queues < 2 then
        offer(queues, tasks, limit, limit)
        return
    end
    turn = (turn + 1) % #queues
    local order = {}
    for index = 0, #queues - 1 do
        order[#order + 1] = queues[(turn + index) % #queues + 1]
    end
    local taken, fuller = offer(order, tasks, limit, math.ceil(limit / #order))
    offer(fuller, tasks, limit - taken, limit)
end

if limit > 0 then
    if ARGV[7] == '1' then
        promote()
    end
    if call('HEXISTS', LIVING, owner) == 1 then
        claim()
    end
end
write_counts()
if next(before) then
    for index = 1, #claimed do
        before[index] = before[index] or ''
    end
end
return { turn, refused, claimed, blobs, before }
