-- Add an owner (R19). Its id is never used again, even where a crash has taken the last second from the store: it is
-- above the last one and not below the clock's seconds.
--
-- ARGV: now, what is shown of the worker (msgpack), its tasks (msgpack).
local now = clock(ARGV[1])
local last = tonumber(call('HGET', KEYS[1], 'owner') or 0)
local owner = math.max(last + 1, math.floor(now / 1000000))
call('HSET', KEYS[1], 'owner', owner)
call('HSET', LIVING, owner, 0)
call('HSET', WORKERS, owner, cmsgpack.pack(now) .. ARGV[2])
call('HSET', PREFIX .. 'beat_at', owner, now)
-- A small hash is kept as a list, in which each look-up walks over all: 500 jobs would take 25 times as long to hold. A
-- value above 64 bytes forbids it.
call('HSET', held_by(owner), '', string.rep(' ', 65))
return owner
