-- Settle the last batch and claim the next, in one step (guarantees 1 to 3, R1, R8).
--
-- An outcome counts only while state, owner, fence and n of its job still are what they were at the claim: these are
-- the first 17 bytes of the job's state, and are compared as such. A claim takes jobs from the heads of the lines
-- (ready:…) of the demanded tasks and writes down who holds them; nothing leaves the store.
--
-- ARGV: now, owner, turn, limit, strict (0 or 1), demand (msgpack: messages or not, tasks as a set, queues or nil), the
-- number of groups of plain successes, the number of other outcomes; each group: queue, size, ids, expected heads,
-- tails (times and result); each other outcome: id, head, kind, started, finished, delay, attempt, result.
-- Answers with the turn, the positions of refused outcomes, the heads and blobs of claimed jobs, and the states of those
-- that were claimed before ('' for the others; nothing at all when there are none).
local now, owner = clock(ARGV[1]), tonumber(ARGV[2])
local turn, limit, strict = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local groups, others = tonumber(ARGV[7]), tonumber(ARGV[8])
local HELD = PREFIX .. 'held:' .. owner
local HEAD = 17
local at, position = 9, 0
local refused, states, finished, let_go, seen, middles = {}, {}, {}, {}, {}, {}

-- Attempt, crashes, version and flags as they stand after a write: a batch has few different ones.
local function next_middle(middle)
    local found = middles[middle]
    if not found then
        local attempt, crashes, version, flags = struct.unpack('>I4I2I4B', middle)
        found = struct.pack('>I4I2I4B', attempt, crashes, version + 1, flags)
        middles[middle] = found
    end
    return found
end

-- Successes of one queue whose jobs have no unique key and are kept.
local function succeed(queue, size)
    local olds = call('HMGET', STATE, unpack(ARGV, at, at + size - 1))
    local accepted = 0
    for index = 1, size do
        local id, head, old = ARGV[at + index - 1], ARGV[at + size + index - 1], olds[index]
        if old and string.sub(old, 1, HEAD) == head and not seen[id] then
            seen[id] = true
            accepted = accepted + 1
            states[#states + 1] = id
            states[#states + 1] = 'S' .. string.sub(head, 2) .. next_middle(string.sub(old, 18, 28))
                .. string.sub(old, 29, 36) .. ARGV[at + 2 * size + index - 1]
            finished[#finished + 1] = struct.unpack('>I8', head, 10)
            finished[#finished + 1] = id
            let_go[#let_go + 1] = id
        else
            refused[#refused + 1] = position + index
        end
    end
    count(queue, 'R', -accepted)
    count(queue, 'S', accepted)
    at, position = at + 3 * size, position + size
end

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

-- Any other outcome; return whether it counts.
local function settle_one()
    local id, head, kind = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
    local old = call('HGET', STATE, id)
    if not old or string.sub(old, 1, HEAD) ~= head then
        return false
    end
    local job = decode(id, call('HGET', JOBS, id), old)
    if ARGV[at + 6] ~= '' then
        append(ATTEMPTS, id, ARGV[at + 6])
    end
    local times = { started = tonumber(ARGV[at + 3]), finished = tonumber(ARGV[at + 4]) }
    if kind == SUCCESS and job.task == '' then
        remove(job)
    elseif kind == SUCCESS then
        times.result = ARGV[at + 7]
        move(job, 'S', times)
    elseif kind == FAILURE or kind == CANCEL then
        move(job, kind == FAILURE and 'F' or 'C', times)
    else
        go_back(job, kind, tonumber(ARGV[at + 5]))
    end
    return true
end

local function settle()
    for _ = 1, groups do
        local queue, size = ARGV[at], tonumber(ARGV[at + 1])
        at = at + 2
        succeed(queue, size)
    end
    if #states > 0 then
        many('HSET', STATE, states)
        many('ZADD', ENDED, finished)
        many('SREM', HELD, let_go)
        if call('EXISTS', STOPPING) == 1 then
            many('SREM', STOPPING, let_go)
        end
    end
    for index = 1, others do
        if not settle_one() then
            refused[#refused + 1] = position + index
        end
        at = at + 8
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
    return { string.byte(member, 1), struct.unpack('>I7I6', member, 2) }
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
        ids[index] = string.sub(member, 15)
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

local FRESH = struct.pack('>c1I4I4', 'R', owner, 1) .. '\0\0' -- behind it: n
local FIRST = struct.pack('>I4I2I4B', 1, 0, 1, 0) .. '\0' -- behind it: due
local TIMES = struct.pack('>i8i8', now, 0)

-- Write down that the owner holds these jobs.
local function hold(queue, pulled)
    if #pulled == 0 then
        return
    end
    local ids, writes = {}, {}
    for index, member in ipairs(pulled) do
        ids[index] = string.sub(member, 15)
        members[#members + 1] = member
    end
    local found, olds = call('HMGET', JOBS, unpack(ids)), call('HMGET', STATE, unpack(ids))
    for index, member in ipairs(pulled) do
        local old, state = olds[index], nil
        if old then
            local job = decode(ids[index], found[index], old)
            job.code, job.owner, job.started, job.finished = 'R', owner, now, 0
            job.fence, job.attempt, job.version = job.fence + 1, job.attempt + 1, job.version + 1
            job.flags = bit.band(job.flags, TIMELESS)
            job.result = nil
            state = encode(job)
            before[#members - #pulled + index] = state
        else
            state = FRESH .. string.sub(member, 9, 14) .. FIRST .. string.sub(member, 2, 8) .. TIMES
        end
        writes[2 * index - 1] = ids[index]
        writes[2 * index] = state
        blobs[#blobs + 1] = found[index]
    end
    many('HSET', STATE, writes)
    call('SADD', HELD, unpack(ids))
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
