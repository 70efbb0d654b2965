-- What works jobs off goes on when the server's memory is full (maxmemory): a script is refused there at its first
-- command that may take more, unless it has written before, and then it may finish. Only what brings jobs in is refused.
call('DEL', PREFIX .. 'none')
