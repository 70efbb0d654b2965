-- Read the beats of the living: owner and beat, one after the other.
return call('HGETALL', LIVING)
