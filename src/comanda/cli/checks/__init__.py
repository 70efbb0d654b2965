"""What `comanda doctor` looks at.

finding.py   what a check found        database.py  the SQLite file, its library and its file system
store.py     is it there, how fast     work.py      workers, waiting jobs, unknown tasks, retention
outbox.py    do jobs leave it
"""
