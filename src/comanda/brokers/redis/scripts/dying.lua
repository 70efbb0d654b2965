-- Read the dead owners that may still hold jobs, because whoever buried them was interrupted.
return call('SMEMBERS', DYING)
