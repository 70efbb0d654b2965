-- Renew owners; answer who of them is dead, and n and fence of the jobs that shall stop.
--
-- ARGV: now, the owners.
local now = clock(ARGV[1])
local lost, stops = {}, {}
for index = 2, #ARGV do
    local owner = ARGV[index]
    if call('HEXISTS', LIVING, owner) == 0 then
        lost[#lost + 1] = tonumber(owner)
    else
        call('HINCRBY', LIVING, owner, 1)
        call('HSET', PREFIX .. 'beat_at', owner, now)
        if call('EXISTS', STOPPING) == 1 then
            for _, job in ipairs(read(call('SINTER', STOPPING, PREFIX .. 'held:' .. owner))) do
                stops[#stops + 1] = job.n
                stops[#stops + 1] = job.fence
            end
        end
    end
end
return { lost, stops }
