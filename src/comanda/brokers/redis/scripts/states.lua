-- Read code and version of jobs: what a waiter asks for after a hint.
--
-- ARGV: at most 500 ids. Answers with code and version of each ('' for a job that does not exist).
local answer = {}
local states = call('HMGET', STATE, unpack(ARGV))
for index, state in ipairs(states) do
    if state then
        answer[#answer + 1] = string.sub(state, 1, 1)
        answer[#answer + 1] = struct.unpack('>I4', state, 24)
    else
        local blob = call('HGET', JOBS, ARGV[index])
        local job = blob and decode(ARGV[index], blob)
        answer[#answer + 1] = job and job.code or ''
        answer[#answer + 1] = job and job.version or 0
    end
end
return answer
