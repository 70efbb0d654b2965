-- Remove at most 500 of the finished jobs that are too many, those enqueued first; answer how many.
--
-- ARGV: how many may stay.
local excess = math.min(500, call('ZCARD', ENDED) - tonumber(ARGV[1]))
local removed = 0
if excess > 0 then
    for _, job in ipairs(read(call('ZRANGE', ENDED, 0, excess - 1))) do
        remove(job)
        removed = removed + 1
    end
end
write_counts()
return removed
