-- Read jobs by their ids, all at one moment.
--
-- ARGV: 1 for operations and workers too, at most 500 ids. Answers with blob, state, attempts and operations of each
-- ('' where there is none).
local answer = {}
for index = 2, #ARGV do
    local id = ARGV[index]
    local blob, state = call('HGET', JOBS, id), call('HGET', STATE, id)
    answer[#answer + 1] = blob or ''
    answer[#answer + 1] = state or blob and shown_state(decode(id, blob)) or ''
    answer[#answer + 1] = call('HGET', ATTEMPTS, id) or ''
    answer[#answer + 1] = ARGV[1] == '1' and call('HGET', OPERATIONS, id) or ''
end
return answer
