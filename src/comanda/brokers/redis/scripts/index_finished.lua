-- Put the finished jobs of one exchange into the index `ended`: a settle only appends their ids, in one piece, to the
-- list `finished`, which is a tenth of the work. Whoever walks along `ended` does this first.
--
-- Answers how many there were; 0 when the list is empty. Those that have been retried or removed since are left out.
local joined = call('LPOP', FINISHED)
if not joined then
    return 0
end
local ids = {}
for first = 1, #joined, 16 do
    ids[#ids + 1] = string.sub(joined, first, first + 15)
end
local entries = {}
for index, state in ipairs(call('HMGET', STATE, unpack(ids))) do
    if state and TERMINAL[string.sub(state, 1, 1)] then
        entries[#entries + 1] = struct.unpack('>I8', state, 10)
        entries[#entries + 1] = ids[index]
    end
end
many('ZADD', ENDED, entries)
return #ids
