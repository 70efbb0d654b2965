-- The second half of an exchange: claim the next batch (guarantee 2, R1). It goes on where settle.lua ends.
--
-- Jobs are taken from the heads of the lines (ready:…) of the demanded tasks, and it is written down who holds them;
-- nothing leaves the store. What has expired ends instead.
--
-- ARGV: 3 turn, 4 limit, 5 strict (0 or 1), 6 demand (msgpack: messages or not, tasks as a set, queues or nil), 7 1
-- to make due jobs ready before (once for an exchange in several parts).
-- Answers with the turn, the positions of refused outcomes, ids and blobs of claimed jobs, and the states of those
-- that have one ('' for the others; nothing at all when there are none).
local turn, limit, strict = tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
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
settle_successes()
write_counts()
if next(before) then
    for index = 1, #claimed do
        before[index] = before[index] or ''
    end
end
return { turn, refused, claimed, blobs, before }
