-- Settle the last batch and claim the next, in one step (guarantees 1 to 3, R1, R8).
--
-- An outcome counts only while its job is held by this owner under this fence. What an owner holds for the first time
-- is in held:… alone, with its n; that is compared for a whole batch, and the states that follow come ready from the
-- caller. A claim takes jobs from the heads of the lines (ready:…) of the demanded tasks and writes down who holds them;
-- nothing leaves the store.
--
-- ARGV: now, owner, turn, limit, strict (0 or 1), demand (msgpack: messages or not, tasks as a set, queues or nil), the
-- number of groups of plain successes, the number of other outcomes; each group: queue, size, ids, n's (6 bytes), new
-- states; each other outcome: id, n, fence, kind, started, finished, delay, attempt, result.
-- Answers with the turn, the positions of refused outcomes, the heads and blobs of claimed jobs, and the states of those
-- that have one ('' for the others; nothing at all when there are none).
local now, owner = clock(ARGV[1]), tonumber(ARGV[2])
local turn, limit, strict = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local groups, others = tonumber(ARGV[7]), tonumber(ARGV[8])
local HELD = PREFIX .. 'held:' .. owner
local at, position = 9, 0
local refused, states, finished = {}, {}, {}
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
    local blob = call('HEXISTS', HELD, id) == 1 and call('HGET', JOBS, id)
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

-- A success whose job has a state: what it says has to be kept.
local function succeed_one(id, state)
    local _, _, fence, n, _, _, _, _, _, started, ended, after = struct.unpack(STATE_FORMAT, state)
    local times = { started = started, finished = ended, result = sub(state, after) }
    return settle_one(id, n, fence, SUCCESS, times, 0, '')
end

-- Successes of one queue, of jobs that have no unique key and are kept.
local function succeed(queue, size)
    local held = call('HMGET', HELD, unpack(ARGV, at, at + size - 1))
    local numbers, news = at + size - 1, at + 2 * size - 1
    local accepted = #finished
    for index = 1, size do
        local id, found = ARGV[at + index - 1], held[index]
        if found and sub(found, 1, 6) == ARGV[numbers + index] then
            finished[#finished + 1] = id
            states[#states + 1] = id
            states[#states + 1] = ARGV[news + index]
        elseif found ~= LISTED or not succeed_one(id, ARGV[news + index]) then
            refused[#refused + 1] = position + index
        end
    end
    accepted = #finished - accepted
    count(queue, 'R', -accepted)
    count(queue, 'S', accepted)
    at, position = at + 3 * size, position + size
end

-- Whoever sends an outcome twice in one batch is refused the second time.
local function refuse_repeated()
    local seen, place, index = {}, 9, 0
    for _ = 1, groups do
        local queue, size = ARGV[place], tonumber(ARGV[place + 1])
        for offset = 1, size do
            local id = ARGV[place + 1 + offset]
            index = index + 1
            if seen[id] then
                refused[#refused + 1] = index
                count(queue, 'R', 1)
                count(queue, 'S', -1)
            end
            seen[id] = true
        end
        place = place + 2 + 3 * size
    end
end

local function settle()
    for _ = 1, groups do
        local queue, size = ARGV[at], tonumber(ARGV[at + 1])
        at = at + 2
        succeed(queue, size)
    end
    if #finished > 0 then
        many('HSET', STATE, states)
        many('RPUSH', FINISHED, finished)
        if many('HDEL', HELD, finished) ~= #finished then
            refuse_repeated()
        end
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
local members, blobs, before = {}, {}, {}

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
    if #pulled == 0 then
        return
    end
    local ids, writes, first = {}, {}, #members
    for index = 1, #pulled do
        local member = pulled[index]
        local id = sub(member, 15)
        ids[index] = id
        writes[2 * index - 1] = id
        writes[2 * index] = byte(member, 14) % 2 == STATEFUL and LISTED or sub(member, 9, 14) .. SINCE
        members[first + index] = member
    end
    local found = call('HMGET', JOBS, unpack(ids))
    for index = 1, #pulled do
        blobs[first + index] = found[index]
        if writes[2 * index] == LISTED then
            before[first + index] = hold_again(ids[index], found[index], call('HGET', STATE, ids[index]))
        end
    end
    many('HSET', HELD, writes)
    count(queue, 'r', -#pulled)
    count(queue, 'R', #pulled)
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
    promote()
    if call('HEXISTS', LIVING, owner) == 1 then
        claim()
    end
end
write_counts()
if next(before) then
    for index = 1, #members do
        before[index] = before[index] or ''
    end
end
return { turn, refused, members, blobs, before }
