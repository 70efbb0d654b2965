-- Tell waiting processes that there may be work.
ring('work')
