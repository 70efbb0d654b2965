-- Read how many jobs each queue holds in each state: field (code and queue) and number, one after the other.
return call('HGETALL', COUNTS)
