-- Renew owners; answer who of them is dead, and n and fence of the jobs that shall stop.
--
-- ARGV: now, the owners.
local now = clock(ARGV[1])
local lost, stops = {}, {}
local asked = call('SMEMBERS', STOPPING)

local function stopping_of(owner)
    local ids = {}
    for _, id in ipairs(asked) do
        if #ids < AT_ONCE and call('HEXISTS', held_by(owner), id) == 1 then
            ids[#ids + 1] = id
        end
    end
    return ids
end

for index = 2, #ARGV do
    local owner = ARGV[index]
    if call('HEXISTS', LIVING, owner) == 0 then
        lost[#lost + 1] = tonumber(owner)
    else
        call('HINCRBY', LIVING, owner, 1)
        call('HSET', PREFIX .. 'beat_at', owner, now)
        for _, job in ipairs(read(stopping_of(owner))) do
            stops[#stops + 1] = job.n
            stops[#stops + 1] = job.fence
        end
    end
end
return { lost, stops }
