-- Create the namespace's meta hash if it is not there; answer with schema version, oldest client and the store's id.
--
-- ARGV: schema version and oldest client of this comanda, an id for a new store. An older store is brought up to date.
local found = call('HMGET', KEYS[1], 'schema', 'oldest_client', 'store')
if not found[1] then
    call('HSET', KEYS[1], 'schema', ARGV[1], 'oldest_client', ARGV[2], 'store', ARGV[3])
    return { ARGV[1], ARGV[2], ARGV[3] }
end
return found
