-- Read the workers. Answers with owner, record (msgpack), moment of the last beat and of the end ('' while alive).
local answer = {}
local all = call('HGETALL', WORKERS)
for index = 1, #all, 2 do
    local owner = all[index]
    answer[#answer + 1] = tonumber(owner)
    answer[#answer + 1] = all[index + 1]
    answer[#answer + 1] = call('HGET', PREFIX .. 'beat_at', owner) or ''
    answer[#answer + 1] = call('HGET', ENDED_AT, owner) or ''
end
return answer
