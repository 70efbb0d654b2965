-- Read jobs by their ids, all at one moment.
--
-- ARGV: 1 for operations and workers too, at most 500 ids. Answers with blob, state, attempts and operations of each
-- ('' where there is none).
local answer = {}
for index = 2, #ARGV do
    local id = ARGV[index]
    answer[#answer + 1] = call('HGET', JOBS, id) or ''
    answer[#answer + 1] = call('HGET', STATE, id) or ''
    answer[#answer + 1] = call('HGET', ATTEMPTS, id) or ''
    answer[#answer + 1] = ARGV[1] == '1' and call('HGET', OPERATIONS, id) or ''
end
return answer
