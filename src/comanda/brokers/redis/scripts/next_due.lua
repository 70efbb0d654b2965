-- Answer how many microseconds from now the next scheduled job falls due, '' without one.
--
-- ARGV: now.
local first = call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')
if not first[1] then
    return ''
end
return first[2] - clock(ARGV[1])
