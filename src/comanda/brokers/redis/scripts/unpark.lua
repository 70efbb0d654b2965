-- Take the mark off at most 500 parked jobs of some tasks; answer how many there were.
--
-- ARGV: the tasks (msgpack).
local done = 0
for _, task in ipairs(cmsgpack.unpack(ARGV[1])) do
    local key = PREFIX .. 'parked:' .. task
    if done < 500 and call('EXISTS', key) == 1 then
        for _, job in ipairs(read(call('SRANDMEMBER', key, 500 - done))) do
            move(job, 'r')
            done = done + 1
        end
    end
end
write_counts()
if done > 0 then
    ring('work')
end
return done
