"""The outbox: jobs in the application's own database, until a relay has moved them to a broker that lives elsewhere.

base.py    what an outbox is            sqlite.py, postgres.py   the two databases it can be in
relay.py   moves its rows to the broker factory.py               from a URL to an outbox
"""
