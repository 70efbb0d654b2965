-- Read every queue: its kind and pause, and when the oldest of its ready jobs fell due.
--
-- A line is in the order of claims, so the oldest of each rank stands first: the walk jumps from rank to rank.
-- Answers with name, kind and due time ('' without one) of each, and then all counts.
local answer = {}
for _, queue in ipairs(call('ZRANGE', QUEUES, 0, -1)) do
    local oldest
    for _, task in ipairs(call('SMEMBERS', PREFIX .. 'tasks:' .. queue)) do
        local line = line_of(queue, task)
        local bound = '-'
        while bound do
            local first = call('ZRANGEBYLEX', line, bound, '+', 'LIMIT', 0, 1)[1]
            bound = nil
            if first then
                local due = struct.unpack('>I7', first, 2)
                oldest = math.min(oldest or due, due)
                bound = '[' .. string.char(string.byte(first, 1) + 1)
            end
        end
    end
    answer[#answer + 1] = queue
    answer[#answer + 1] = call('HGET', QUEUE, queue)
    answer[#answer + 1] = oldest or ''
end
return { answer, call('HGETALL', COUNTS) }
