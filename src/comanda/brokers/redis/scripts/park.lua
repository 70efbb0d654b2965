-- Hold back at most 500 ready jobs whose task no living worker knows, so that they are shown as such (guarantee 7).
-- Messages have no task that anybody could know. Answers how many there were.
local known = { [''] = true }
for _, owner in ipairs(call('HKEYS', LIVING)) do
    local shown = { cmsgpack.unpack(call('HGET', WORKERS, owner)) }
    for _, task in ipairs(shown[7]) do
        known[task] = true
    end
end
local done = 0
for _, queue in ipairs(call('ZRANGE', QUEUES, 0, -1)) do
    for _, task in ipairs(call('SMEMBERS', PREFIX .. 'tasks:' .. queue)) do
        if not known[task] and done < 500 then
            local ids = {}
            for index, member in ipairs(call('ZRANGE', line_of(queue, task), 0, 499 - done)) do
                ids[index] = string.sub(member, 15)
            end
            for _, job in ipairs(read(ids)) do
                move(job, 'P')
                done = done + 1
            end
        end
    end
end
write_counts()
return done
