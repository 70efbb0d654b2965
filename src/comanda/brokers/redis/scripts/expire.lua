-- End at most 500 waiting jobs whose expiry has passed; answer how many.
--
-- ARGV: now.
local now = clock(ARGV[1])
local jobs = read(call('ZRANGEBYSCORE', EXPIRING, '-inf', now, 'LIMIT', 0, 500))
for _, job in ipairs(jobs) do
    move(job, 'E', { finished = now })
end
write_counts()
if #jobs > 0 then
    ring('change')
end
return #jobs
