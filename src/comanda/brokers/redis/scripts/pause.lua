-- Pause or resume a queue; answer 0 when there is none of this name.
--
-- ARGV: the queue, 1 to pause and 0 to resume.
local found = call('HGET', QUEUE, ARGV[1])
if not found then
    return 0
end
call('HSET', QUEUE, ARGV[1], string.sub(found, 1, 1) .. ARGV[2])
if ARGV[2] == '0' then
    ring('work')
end
return 1
