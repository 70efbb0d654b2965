"""What runs jobs.

supervisor.py  looks after children and runs no user code      child.py       one process that runs user code
places.py      a child as its supervisor sees it               engine.py      claim, run, settle: the storage thread
custody.py     leases of the children, burials                 executors.py   what runs jobs in a child
upkeep.py      renew, rescue, housekeeping                     threads.py     … synchronous ones
presence.py    signs of life that outlive a crash              coroutines.py  … asynchronous ones
messages.py    what the processes say to each other            isolation.py   … in processes of their own (isolated.py)
channel.py     … and how                                       attempt.py     one execution of a job
embedded.py    app.start_worker(): group.py, in_process.py     deadlines.py   time limits (interrupt.py)
inline.py      jobs in the calling thread (execute.py)         batching.py    how many jobs to claim
"""
