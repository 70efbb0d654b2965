-- Store a batch of new jobs, all in one step; an item that fails leaves the others alone.
--
-- ARGV: now ('': the server's), then for each job its id, its head (msgpack: queue, task, priority, due or nil, delay,
-- expires or nil), its unique key or '', the flags of its n, and its encoded rest.
-- Answers with index and finding of each job that was not stored: the id of the one that stands in its way, or '' for a
-- queue of the other kind.
local now = clock(ARGV[1])
local jobs, lines, later, expiring, ids = {}, {}, {}, {}, {}
local findings, heads, added = {}, {}, {}
local PER_JOB = 5
local total = (#ARGV - 1) / PER_JOB
local n = call('HINCRBY', KEYS[1], 'n', total) - total
local enqueued = cmsgpack.pack(now)

-- What jobs with the same head share, worked out once.
local function prepare(text)
    local queue, task, priority, due, delay, expires = unpack(cmsgpack.unpack(text), 1, 6)
    due = math.max(1, due or now + delay)
    local head = { admitted = admits(queue, task), queue = queue, expires = expires, due = due }
    head.is_later = due > now
    head.encoded = enqueued .. cmsgpack.pack(due ~= now and due or 0)
    head.prefix = struct.pack('>BI7', 128 - priority, due)
    if head.admitted and not head.is_later then
        head.line = line_of(queue, task)
        lines[head.line] = lines[head.line] or {}
        head.waiting = lines[head.line]
    end
    if head.admitted then
        call('SADD', PREFIX .. 'tasks:' .. queue, task)
    end
    return head
end

-- Say what stands in a job's way, if anything does.
local function obstacle(id, key, exists)
    if exists or added[id] then
        return id
    end
    if key ~= '' then
        return call('HGET', UNIQUE, string.sub(key, 2)) or nil
    end
end

local function add(at, exists)
    local id, key = ARGV[at], ARGV[at + 2]
    local head = heads[ARGV[at + 1]]
    if not head then
        head = prepare(ARGV[at + 1])
        heads[ARGV[at + 1]] = head
    end
    local hindrance = not head.admitted and '' or obstacle(id, key, exists)
    if hindrance then
        return hindrance
    end
    local number = n * 8 + tonumber(ARGV[at + 3])
    added[id] = true
    jobs[#jobs + 1] = id
    jobs[#jobs + 1] = '\154' .. cmsgpack.pack(number) .. head.encoded .. ARGV[at + 4]
    ids[#ids + 1] = 0
    ids[#ids + 1] = id
    if head.is_later then
        later[#later + 1] = head.due
        later[#later + 1] = id
    else
        local waiting = head.waiting
        waiting[#waiting + 1] = 0
        waiting[#waiting + 1] = head.prefix .. struct.pack('>I6', number) .. id
    end
    if head.expires then
        expiring[#expiring + 1] = head.expires
        expiring[#expiring + 1] = id
    end
    if key ~= '' then
        call('HSET', UNIQUE, string.sub(key, 2), id)
    end
    count(head.queue, head.is_later and 's' or 'r', 1)
end

for first = 1, total, AT_ONCE do
    local last = math.min(first + AT_ONCE - 1, total)
    local asked = {}
    for index = first, last do
        asked[#asked + 1] = ARGV[2 + (index - 1) * PER_JOB]
    end
    local exist = call('ZMSCORE', IDS, unpack(asked))
    for index = first, last do
        n = n + 1
        local hindrance = add(2 + (index - 1) * PER_JOB, exist[index - first + 1])
        if hindrance then
            findings[#findings + 1] = index
            findings[#findings + 1] = hindrance
        end
    end
end
many('HSET', JOBS, jobs)
many('ZADD', IDS, ids)
many('ZADD', SCHEDULED, later)
many('ZADD', EXPIRING, expiring)
for line, waiting in pairs(lines) do
    many('ZADD', line, waiting)
end
write_counts()
ring('work')
return findings
