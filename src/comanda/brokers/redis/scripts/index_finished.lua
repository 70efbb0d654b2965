-- Put at most 500 of the latest finished jobs into the index `ended`: a settle only appends them to the list `finished`,
-- which is a tenth of the work. Whoever walks along `ended` does this first.
--
-- Answers how many it took from the list. Those that have been retried or removed since are left out.
local ids = call('LRANGE', FINISHED, 0, 499)
if #ids == 0 then
    return 0
end
call('LTRIM', FINISHED, #ids, -1)
local entries = {}
for index, state in ipairs(call('HMGET', STATE, unpack(ids))) do
    if state and TERMINAL[string.sub(state, 1, 1)] then
        entries[#entries + 1] = struct.unpack('>I8', state, 10)
        entries[#entries + 1] = ids[index]
    end
end
many('ZADD', ENDED, entries)
return #ids
